"""Any image as something a screen can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_rgb"]


def as_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of (H, W), (H, W, C) or (D, H, W, C) numbers: the middle slice, the first three channels, or the first alone.

    Bytes are shown as they are. Any other dtype is stretched so that the 1st percentile is black and the 99th white, over the shown
    channels together so that colours keep their balance; what is not finite is black. Raises InvalidNoun for other shapes.

    >>> as_rgb(np.array([[[0], [500], [1000]]], np.uint16))[0, :, 0].tolist()
    [0, 128, 255]
    """
    if image.ndim == 2:
        image = image[..., None]  # (H, W) -> (H, W, 1)
    if image.ndim == 4:
        image = image[image.shape[0] // 2]  # (D, H, W, C) -> (H, W, C)
    if image.ndim != 3 or not image.size or image.dtype.kind not in "buif":
        raise InvalidNoun(
            "image", expected="numbers of shape (H, W), (H, W, C) or (D, H, W, C)", received=f"{image.dtype} {image.shape}"
        )
    shown = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]  # (H, W, C) -> (H, W, 3) or (H, W, 1)
    if shown.dtype != np.uint8:
        shown = _stretched(shown)
    return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)))


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 of the same shape, from the 1st to the 99th percentile of the finite values."""
    numbers = values.astype(np.float32)
    finite = np.isfinite(numbers)
    low, high = np.percentile(numbers[finite], (1, 99)) if finite.any() else (0, 1)
    if high <= low:  # a flat image, or one where nearly all is flat
        low, high = (numbers[finite].min(), numbers[finite].max()) if finite.any() else (0, 1)
    scaled = (np.where(finite, numbers, low) - low) * (255 / max(float(high - low), 1e-12))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
