"""TorchvisionV2: any transform of torchvision.transforms.v2, plugged in. torch is imported when it is called, not before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import OptionError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from intarsia.core import Sample

__all__ = ["TorchvisionV2"]


@dataclass(frozen=True)
class TorchvisionV2:
    """A v2 transform on image, ids and validity together. What it fills outside the picture is not valid and void.

    `transform` is the name of a class with its `options`, or any callable over tv_tensors. Raises OptionError for an unknown
    name, for volumes, and for a transform that changes the dtype (networks normalise inside) or gives back no mask.

    >>> TorchvisionV2("RandomHorizontalFlip", {"p": 1.0}).transform
    'RandomHorizontalFlip'
    """

    transform: str | Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None = None) -> Sample:
        """The sample through the transform, torch's own random state seeded from `rng` and put back. `donor` is not used."""
        import torch
        from torchvision import tv_tensors

        if sample.image.ndim != 3:
            raise OptionError(f"{self!r}", expected="an image (H, W, C)", received=f"a volume {sample.image.shape}")
        kind = sample.image.dtype
        wide = kind in (np.uint16, np.uint32)  # torch has these, most of its kernels do not
        pixels = np.ascontiguousarray(np.moveaxis(sample.image, -1, 0))  # (H, W, C) -> (C, H, W)
        image = tv_tensors.Image(torch.from_numpy(pixels.astype(np.float32) if wide else pixels.copy()))
        mask = tv_tensors.Mask(torch.from_numpy(_to_mask(sample)))  # (1 + L, H, W)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**63)))  # torch.manual_seed would reseed the GPUs, for good
            # both in one call: parameters are drawn once per call; a mask sliced before this line would be a plain tensor and be
            # passed over in silence
            moved, moved_mask = self._built()(image, mask)
        if not isinstance(moved_mask, tv_tensors.Mask) or moved.shape[-2:] != moved_mask.shape[-2:]:
            raise OptionError(f"{self!r}", expected="image and mask of one size", received=f"{type(moved_mask).__name__}")
        if moved.dtype != image.dtype:
            raise OptionError(
                f"{self!r}", expected=f"the image in its own dtype {image.dtype}", received=moved.dtype, hint="Networks normalise."
            )
        values = np.moveaxis(moved.numpy(), 0, -1)  # (C, H, W) -> (H, W, C)
        values = np.rint(values).clip(0, np.iinfo(kind).max).astype(kind) if wide else np.ascontiguousarray(values)
        return _from_mask(sample, values, moved_mask.numpy())

    def _built(self) -> Callable[..., Any]:
        """The transform itself."""
        from torchvision.transforms import v2

        if not isinstance(self.transform, str):
            return self.transform
        if not hasattr(v2, self.transform):
            known = [name for name in dir(v2) if name[0].isupper()]
            raise OptionError(f"torchvision.transforms.v2 {self.transform!r}", hint=nearest(self.transform, known))
        built: Callable[..., Any] = getattr(v2, self.transform)(**self.options)
        return built


def _to_mask(sample: Sample) -> np.ndarray[Any, Any]:
    """(1 + L, H, W): validity, then ids + 1, so that 0, which torchvision fills with, is not valid and void."""
    size = sample.image.shape[:-1]
    valid = np.ones(size, np.int32) if sample.valid is None else sample.valid.astype(np.int32)
    layers = [] if sample.segments is None else list(sample.segments.ids.astype(np.int32) + 1)
    return np.stack([valid, *layers])


def _from_mask(sample: Sample, image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Sample:
    """The sample with the image and the moved layers of `_to_mask`."""
    valid, ids = mask[0].astype(np.bool_), mask[1:] - 1
    ids[1:] = np.maximum(ids[1:], 0)  # void is told in layer 0 alone
    segments = None if sample.segments is None else sample.segments.with_ids(ids)
    return replace(sample, image=image, segments=segments, valid=None if valid.all() else valid, spacing=None, geo=None)
