"""Pixels: how raw values become network input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Pixels"]


@dataclass(frozen=True)
class Pixels:
    """`fixed`: (x - low) / (high - low), then (x - mean) / std. `per_image`: low and high are the percentiles of the valid pixels
    of the whole image, channel by channel (MRI, 16 bit), so that the tiles of one image agree; mean and std follow all the same.

    A network owns its Pixels and normalises inside `forward`, so training, export and serving cannot disagree.

    >>> Pixels(mean=(0.5,), std=(0.5,)).normalised(np.array([[[0.0], [255.0]]])).ravel().tolist()
    [-1.0, 1.0]
    """

    kind: Literal["fixed", "per_image"] = "fixed"
    low: float = 0.0
    """The raw value that becomes 0 (fixed)."""
    high: float = 255.0
    """The raw value that becomes 1 (fixed)."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Per channel, after scaling to 0..1; one value serves all channels. The default is ImageNet's."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    percentiles: tuple[float, float] = (0.5, 99.5)
    """The low and high percentile (per_image)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(v) for v in self.mean))
        object.__setattr__(self, "std", tuple(float(v) for v in self.std))
        object.__setattr__(self, "percentiles", tuple(float(v) for v in self.percentiles))
        if self.kind not in ("fixed", "per_image"):
            raise InvalidNoun("Pixels kind", expected="'fixed' or 'per_image'", received=repr(self.kind))
        if not self.high > self.low:
            raise InvalidNoun("Pixels range", expected="low < high", received=f"low {self.low}, high {self.high}")
        if len(self.mean) != len(self.std) or not self.mean or any(v <= 0 for v in self.std):
            raise InvalidNoun("Pixels", expected="as many means as positive stds", received=f"mean {self.mean}, std {self.std}")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise InvalidNoun("Pixels percentiles", expected="0 <= low < high <= 100", received=self.percentiles)

    def for_channels(self, channels: int) -> Pixels:
        """The same record with a mean and std for each of `channels`; a single value, or the average of several, is repeated."""
        if len(self.mean) == channels:
            return self
        mean, std = float(np.mean(self.mean)), float(np.mean(self.std))
        return Pixels(self.kind, self.low, self.high, (mean,) * channels, (std,) * channels, self.percentiles)

    def for_image(self, image: NDArray[Any]) -> Pixels:
        """The record that fits images (*S, C) like this: `for_channels`, and `per_image` for what has no range of its own, which is
        all but uint8.

        >>> Pixels().for_image(np.zeros((2, 2, 1), np.uint16)).kind
        'per_image'
        """
        fitted = self.for_channels(image.shape[-1])
        return fitted if image.dtype == np.uint8 else replace(fitted, kind="per_image")

    def stats(self, image: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32] | None:
        """(C, 2) low and high per channel of a whole image (*S, C), measured on its valid pixels; None where `fixed`."""
        if self.kind == "fixed":
            return None
        flat = image.reshape(-1, image.shape[-1]) if valid is None else image[valid]
        if flat.dtype.kind == "f":  # nodata may be NaN where no mask says so
            flat = flat[np.isfinite(flat).all(axis=1)]
        if not len(flat):
            return np.tile(np.array([0, 1], np.float32), (image.shape[-1], 1))
        ends = np.percentile(flat, self.percentiles, axis=0).astype(np.float32).T  # (C, 2)
        low, high = ends.T
        high[high <= low] = (low + np.maximum(1, np.abs(low) * 1e-6))[high <= low]  # a constant image has no range
        return np.ascontiguousarray(ends)

    def normalised(self, image: NDArray[Any], stats: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """(*S, C) network input of one image: the numpy twin of what a network does in `forward`."""
        if stats is None:
            stats = self.stats(image)
        low, high = np.asarray([[self.low], [self.high]], np.float32) if stats is None else stats.T  # (C,) or (1,) each
        scaled = (image.astype(np.float32) - low) / (high - low)
        mean, std = np.asarray([self.mean, self.std], np.float32)  # (C,) each
        return np.asarray((scaled - mean) / std, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Pixels.from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Pixels:
        """The inverse of `to_dict`."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        return cls(**values)
