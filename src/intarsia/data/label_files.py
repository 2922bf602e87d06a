"""Label files to Segments: by ids, by colours, or one id per object. Each reader is a picklable function of a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import LabelError
from intarsia.core.segments import Segments, narrow
from intarsia.data.images import read_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.data.coding import Coding

__all__ = ["ColourLabels", "IdLabels", "ObjectLabels"]

OBJECT_VOID = 65535


@dataclass(frozen=True)
class IdLabels:
    """Each pixel is the id of a class, of void or of nothing."""

    coding: Coding

    def __call__(self, path: Path) -> Segments:
        """One row per class that is present; LabelError for an id of no meaning."""
        return self.decode(read_labels(path), str(path))

    def decode(self, labels: NDArray[Any], source: str) -> Segments:
        """The same for ids (*S) that have been read from `source`."""
        return self.coding.segments(labels, source)


@dataclass(frozen=True)
class ColourLabels:
    """Each pixel is the colour of a class or of void, as (R, G, B) by name."""

    coding: Coding
    colours: Mapping[str, tuple[int, int, int]]

    def __call__(self, path: Path) -> Segments:
        """One row per class that is present; LabelError for a colour of no meaning."""
        picture = read_image(path)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] < 3:
            raise LabelError(str(path), expected="colours (R, G, B) of 8 bit", received=f"{picture.dtype} {picture.shape}")
        names = dict(zip(self.coding.classes.names, self.coding.ids, strict=True))
        ids = {_packed(colour): names.get(name, self._void) for name, colour in self.colours.items()}
        known = np.array(sorted(ids))  # (K,) colours as one number each
        packed: NDArray[Any] = picture[..., :3].astype(np.int32) @ np.array([65536, 256, 1], np.int32)  # (H, W, 3) -> (H, W)
        place = np.minimum(np.searchsorted(known, packed), len(known) - 1)
        strange = known[place] != packed
        if strange.any():
            raise LabelError(
                str(path),
                expected=f"the {len(known)} colours of its class file",
                received=", ".join(f"({c >> 16}, {c >> 8 & 255}, {c & 255})" for c in np.unique(packed[strange])[:5].tolist()),
            )
        return self.coding.segments(np.array([ids[value] for value in known.tolist()])[place], str(path))

    @property
    def _void(self) -> int:
        return self.coding.void[0] if self.coding.void else 255


@dataclass(frozen=True)
class ObjectLabels:
    """0 is nothing, 65535 void, and each other value one object of the only class; rows in the order of the values."""

    void: int = OBJECT_VOID

    def __call__(self, path: Path) -> Segments:
        """One row per object; (H, W), or (D, H, W) from `.npy`."""
        return self.decode(read_labels(path), str(path))

    def decode(self, labels: NDArray[Any], source: str) -> Segments:
        """The same for numbers (*S) that have been read from `source`."""
        low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if low < 0 or high > 1 << 24:
            raise LabelError(source, expected="object numbers 0..16777216", received=f"{low}..{high}")
        seen = np.zeros(max(high, self.void) + 1, np.bool_)
        seen[labels] = True
        seen[[0, self.void]] = False
        values = np.flatnonzero(seen)
        table = np.zeros(len(seen), narrow(-1, len(values)))
        table[values] = np.arange(1, len(values) + 1)
        table[self.void] = -1
        return Segments(table[labels][None], np.zeros(len(values), np.int64))  # (*S) -> (1, *S)


def _packed(colour: tuple[int, int, int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue
