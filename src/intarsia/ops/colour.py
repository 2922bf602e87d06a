"""The one table: any number of point-wise colour changes as one small channel matrix and one curve, each value touched once.

The order is fixed: first the channels are mixed, then the curve is read. Mixing towards grey and affine changes of the value
commute (the rows of the matrix sum to 1), so saturation among brightness and contrast means the same wherever it was listed, and
is folded with them into the one matrix; a gamma listed before a saturation is applied after it.

A curve is a tuple of steps (scale, shift, power) on values scaled to 0..1 between `low` and `high`:
u -> (scale u + shift) ^ power, with the sign kept below 0. Where it is affine it goes with the matrix in one pass; else 8 and 16
bit without sign read it from a table of 256 or 65,536 entries, other dtypes compute it. Whole numbers are rounded and clipped to
their dtype; floats are not clipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Curve", "add_step", "greying", "recolour", "rounded", "value_range"]

Curve = tuple[tuple[float, float, float], ...]

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, as cv2 and torchvision weigh grey."""


def greying(channels: int, saturation: float) -> NDArray[np.float64]:
    """The matrix (C, C) that moves each channel towards grey (0), leaves it (1) or away from it (above 1).

    Grey is BT.601 luma where there are three channels (RGB), else their mean.

    >>> greying(2, 0.5).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    weights = np.array(LUMA) if channels == 3 else np.full(channels, 1 / channels)
    return np.asarray(saturation * np.eye(channels) + (1 - saturation) * weights)


def add_step(curve: Curve, scale: float = 1.0, shift: float = 0.0, power: float = 1.0) -> Curve:
    """The curve with one step more; an affine step after an affine one folds into it.

    >>> add_step(add_step((), scale=2.0), scale=0.5, shift=0.25)
    ((1.0, 0.25, 1.0),)
    """
    if curve and curve[-1][2] == 1.0:
        earlier = curve[-1]
        return (*curve[:-1], (scale * earlier[0], scale * earlier[1] + shift, power))
    return (*curve, (scale, shift, power))


def value_range(
    image: NDArray[Any], stats: NDArray[np.float32] | None = None, valid: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """What counts as black and white: the extremes of `stats` (C, 2) if given, the dtype's range for 8 and 16 bit without sign,
    else the least and greatest finite value of the image (*S, C) where `valid` (*S) holds; 0 and 1 where there is none.

    >>> value_range(np.zeros((1, 1, 3), np.uint16))
    (0.0, 65535.0)
    """
    if stats is not None:
        return float(stats[:, 0].min()), float(stats[:, 1].max())
    if image.dtype in (np.uint8, np.uint16):
        return 0.0, float(np.iinfo(image.dtype).max)
    seen = image if valid is None else image[valid]
    if image.dtype.kind == "f":
        seen = seen[np.isfinite(seen)]
    return (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)


def recolour(
    image: NDArray[Any], mix: NDArray[np.float64] | None, curve: Curve, *, low: float = 0.0, high: float = 255.0
) -> NDArray[Any]:
    """An image (*S, C) with its channels mixed by the matrix `mix` (C, C) and its values read from `curve`, in its own dtype.

    >>> recolour(np.uint8([[[100], [200]]]), None, ((2.0, 0.0, 1.0),)).ravel().tolist()
    [200, 255]
    """
    if mix is None and not curve:
        return image
    if high <= low:  # a constant image has no range to bend in
        curve = ()
    kind = image.dtype
    if curve and curve[0][2] == 1.0 and (mix is not None or len(curve) == 1):  # the affine step goes with the matrix
        (scale, shift, _), *rest = curve
        image = _affine(image, mix, scale, low * (1 - scale) + (high - low) * shift)
        curve = tuple(rest)
    elif mix is not None:
        image = _affine(image, mix, 1.0, 0.0)
    if curve and kind in (np.uint8, np.uint16):
        table = rounded(_bent(np.arange(np.iinfo(kind).max + 1, dtype=np.float64), curve, low, high), kind)
        return cv2.LUT(image.reshape(-1), table).reshape(image.shape) if kind == np.uint8 else np.take(table, image)
    if curve:
        image = _bent(image.astype(np.result_type(kind, np.float32), copy=False), curve, low, high)
    return rounded(image, kind)


def _affine(image: NDArray[Any], mix: NDArray[np.float64] | None, scale: float, offset: float) -> NDArray[Any]:
    """scale * mix . pixel + offset for an image (*S, C); rounded and clipped once, in one pass where cv2 has one."""
    channels = image.shape[-1]
    if mix is None and image.dtype == np.uint8:  # twice as fast as a table
        flat = image.reshape(-1, channels)
        return cv2.addWeighted(flat, scale, flat, 0.0, offset).reshape(image.shape)
    if mix is not None and channels <= 4 and image.dtype in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
        whole = np.hstack([mix * scale, np.full((channels, 1), offset)])
        return cv2.transform(image.reshape(-1, 1, channels), whole).reshape(image.shape)
    values = image.astype(np.result_type(image.dtype, np.float32))
    if mix is not None:
        values = values @ mix.T.astype(values.dtype)
    return rounded(values * values.dtype.type(scale) + values.dtype.type(offset), image.dtype)


def _bent(values: NDArray[Any], curve: Curve, low: float, high: float) -> NDArray[Any]:
    """Values through the curve between low and high."""
    values = (values - low) / (high - low)
    for scale, shift, power in curve:
        values = scale * values + shift
        if power != 1.0:
            values = np.sign(values) * np.abs(values) ** power
    return values * (high - low) + low


def rounded(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Floats in another dtype, rounded and clipped where it is of integers.

    >>> rounded(np.array([-3.0, 7.6]), np.dtype(np.uint8)).tolist()
    [0, 8]
    """
    if values.dtype == kind or kind.kind == "f":
        return values.astype(kind, copy=False)
    bounds = np.iinfo(kind)
    whole: NDArray[Any] = np.rint(values).clip(bounds.min, bounds.max).astype(kind)
    return whole
