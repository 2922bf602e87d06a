"""One plane of the warp: rows and columns, by cv2 where it reads exactly what was asked for.

The straight path (scale, flip, shift by whole source pixels) cuts the source first and resizes only what is seen; any other matrix
takes the general one. Both shrink by averaging: where two reads are more than 1.5 pixels apart the image is smoothed before, from 3
on it is read by area.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from intarsia.ops.colour import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["blanked", "by_channels", "inside_plane", "nearest", "nearest_plane", "warp_plane"]

Size = tuple[int, ...]
LINEAR, SMOOTHED = 1.5, 3.0
"""The greatest steps, in source pixels, of bilinear reading as it is and after smoothing by [1 2 1] / 4: up to there every source
pixel has at least half the weight of any other. Reading by area is right for all steps, and ten times as slow."""


def blanked(image: NDArray[Any], within: NDArray[np.bool_]) -> NDArray[Any]:
    """An image (*S, C) with 0 wherever `within` (*S) is False.

    >>> blanked(np.uint8([[[1], [2]]]), np.array([[True, False]])).ravel().tolist()
    [1, 0]
    """
    flat = image.reshape(-1, *image.shape[-2:])  # (rows, W, C): cv2 knows no volumes
    mask = within.reshape(flat.shape[:2]).view(np.uint8)
    return by_channels(lambda part: cv2.copyTo(part, mask), flat).reshape(image.shape)  # 30 times as fast as a boolean index


def inside_plane(source: Size, matrix: NDArray[np.float64], size: Size) -> NDArray[np.bool_]:
    """(*size) whether the centre of each output pixel falls within a plane; it agrees with `nearest_plane` to the last bit."""
    return _within(_points(matrix, size), source)


class _Span(NamedTuple):
    """Along one axis: output pixels start..stop show source pixels low..high, both whole, perhaps mirrored."""

    low: int
    high: int
    start: int
    stop: int
    mirrored: bool


def warp_plane(image: NDArray[Any], matrix: NDArray[np.float64], size: Size) -> NDArray[Any]:
    """(H, W, C) -> (*size, C) as seen through `matrix` (3, 3), 0 outside.

    >>> warp_plane(np.uint8([[[10], [20]]]), np.array([[1.0, 0, 0], [0, -1, 2], [0, 0, 1]]), (1, 2)).ravel().tolist()
    [20, 10]
    """
    spans = _whole_spans(matrix, image.shape[:2], size)
    if spans is None:
        warped = _affine(image, matrix, size)  # (*size, C)
        return blanked(warped, inside_plane(image.shape[:2], matrix, size))
    rows, cols = spans
    part = image[rows.low : rows.high, cols.low : cols.high]
    shown = rows.stop - rows.start, cols.stop - cols.start
    if 0 in shown:
        return np.zeros((*size, image.shape[-1]), image.dtype)
    part = _resize(part, shown)  # (*shown, C)
    if rows.mirrored or cols.mirrored:
        way = -1 if rows.mirrored and cols.mirrored else int(cols.mirrored)
        part = by_channels(lambda four: cv2.flip(four, way), part)  # numpy's reversed view takes 70 times as long to copy
    if shown == tuple(size):
        # the source itself is never handed out: later passes may write into the picture
        return part.copy() if np.may_share_memory(part, image) else np.ascontiguousarray(part)
    canvas = np.zeros((*size, image.shape[-1]), image.dtype)
    canvas[rows.start : rows.stop, cols.start : cols.stop] = part
    return canvas


def nearest_plane(layer: NDArray[Any], matrix: NDArray[np.float64], size: Size, outside: int) -> NDArray[Any]:
    """(H, W) -> size at the nearest pixel, `outside` beyond.

    >>> nearest_plane(np.int8([[1, 2]]), np.array([[1.0, 0, 0], [0, 1, 1], [0, 0, 1]]), (1, 2), -1).tolist()
    [[2, -1]]
    """
    if not matrix[0, 1] and not matrix[1, 0]:
        rows, rows_hit = nearest(matrix[0, 0], matrix[0, 2], layer.shape[0], size[0])
        cols, cols_hit = nearest(matrix[1, 1], matrix[1, 2], layer.shape[1], size[1])
        found: NDArray[Any] = layer.take(rows, axis=0).take(cols, axis=1)  # several times as fast as indexing
        if not rows_hit.all():
            found[~rows_hit] = outside
        if not cols_hit.all():
            found[:, ~cols_hit] = outside
        return found
    # not by cv2.warpAffine: where it is to read the nearest pixel, its answer depends on the dtype
    points = _points(matrix, size)
    rows, cols = (p.astype(np.int32).clip(0, n - 1) for p, n in zip(points, layer.shape, strict=True))  # (*size)
    found = layer.take(rows * layer.shape[1] + cols)
    found[~_within(points, layer.shape)] = outside
    return found


def _points(matrix: NDArray[np.float64], size: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(*size) rows and columns of the source under the centre of each output pixel."""
    rows, cols = np.arange(size[0])[:, None] + 0.5, np.arange(size[1]) + 0.5
    down, across = ((matrix[k, 0] * rows + matrix[k, 2]) + matrix[k, 1] * cols for k in range(2))
    return down, across


def _within(points: tuple[NDArray[np.float64], NDArray[np.float64]], source: Size) -> NDArray[np.bool_]:
    """(*size) whether each point lies in the source."""
    down, across = points
    return (down >= 0) & (down < source[0]) & (across >= 0) & (across < source[1])


@lru_cache(maxsize=8)  # image, ids and validity ask for the same axes in turn
def nearest(scale: float, shift: float, source: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(size,) the source pixel that holds the centre of each output pixel, clipped, and whether it is within the source.

    >>> [part.tolist() for part in nearest(0.5, 0.0, 1, 3)]
    [[0, 0, 0], [True, True, False]]
    """
    index = np.floor(scale * (np.arange(size) + 0.5) + shift + 1e-9).astype(np.int64)
    clipped, hit = np.minimum(np.maximum(index, 0), source - 1), (index >= 0) & (index < source)
    clipped.flags.writeable = hit.flags.writeable = False
    return clipped, hit


def _whole_spans(matrix: NDArray[np.float64], source: Size, size: Size) -> tuple[_Span, _Span] | None:
    """The spans of rows and columns where the matrix only scales, flips and shifts by whole source pixels; else None."""
    if matrix[0, 1] or matrix[1, 0]:
        return None
    spans = []
    for axis in range(2):
        scale, shift, count = matrix[axis, axis], matrix[axis, 2], size[axis]
        mirrored = bool(scale < 0)
        if mirrored:  # counted from the far end
            scale, shift = -scale, shift + scale * count
        _, hit = nearest(scale, shift, source[axis], count)
        start = int(hit.argmax()) if hit.any() else 0
        stop = start + int(hit.sum())
        low, high = shift + scale * start, shift + scale * stop
        if abs(low - round(low)) > 1e-6 or abs(high - round(high)) > 1e-6 or round(low) < 0 or round(high) > source[axis]:
            return None
        if mirrored:
            start, stop = count - stop, count - start
        spans.append(_Span(round(low), round(high), start, stop, mirrored))
    return spans[0], spans[1]


def _affine(image: NDArray[Any], matrix: NDArray[np.float64], size: Size) -> NDArray[Any]:
    """(H, W, C) -> (*size, C) through any matrix: the part that is seen is cut out, shrunk by area if need be, then warped."""
    corners = np.array([[0, 0], [0, size[1]], [size[0], 0], list(size)]) @ matrix[:2, :2].T + matrix[:2, 2]
    steps = np.hypot(matrix[:2, 0], matrix[:2, 1])  # source pixels per output pixel, along each source axis
    margin = 2 + np.ceil(steps).astype(np.int64)
    extent = np.array(image.shape[:2])
    low = np.clip(np.floor(corners.min(axis=0)).astype(np.int64) - margin, 0, extent - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(np.int64) + margin, low + 1, extent)
    part = image[low[0] : high[0], low[1] : high[1]]
    moved = matrix.copy()
    moved[:2, 2] -= low
    if steps.max() > SMOOTHED:
        fewer = np.maximum(np.rint((high - low) / np.maximum(steps, 1)), 1).astype(np.int64)
        moved = np.diag([*(fewer / (high - low)), 1.0]) @ moved
        part = _resize(part, (int(fewer[0]), int(fewer[1])))
    else:
        part = _smoothed(part, steps)
    centred = moved[:2].copy()  # cv2 measures points in pixel centres, as (x, y)
    centred[:, 2] += moved[:2, :2].sum(axis=1) * 0.5 - 0.5
    centred = centred[::-1][:, [1, 0, 2]]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # the edge repeats, so that a pixel whose centre is inside is not darkened by what lies beyond
    return by_channels(lambda four: cv2.warpAffine(four, centred, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE), part)


def _resize(image: NDArray[Any], size: Size) -> NDArray[Any]:
    """(H, W, C) -> (*size, C): by area along an axis that shrinks much, else bilinear."""
    height, width = image.shape[:2]
    if (height, width) == tuple(size):
        return image
    steps = height / size[0], width / size[1]
    fewer = size[0] if steps[0] > SMOOTHED else height, size[1] if steps[1] > SMOOTHED else width
    # an exact half is read between two pixels, each with half the weight: nothing to smooth
    image = _smoothed(image, [1.0 if step == 2 else step for step in steps])

    def resize(part: NDArray[Any]) -> NDArray[Any]:
        if fewer != (height, width):
            part = cv2.resize(part, fewer[::-1], interpolation=cv2.INTER_AREA)
        if fewer != tuple(size):
            part = cv2.resize(part, size[::-1], interpolation=cv2.INTER_LINEAR)
        return part

    return by_channels(resize, image)


def _smoothed(image: NDArray[Any], steps: Sequence[float] | NDArray[np.float64]) -> NDArray[Any]:
    """(H, W, C) by [1 2 1] / 4 along each axis whose step asks for it."""
    rows, cols = (3 if LINEAR < step <= SMOOTHED else 1 for step in steps)
    if rows == cols == 1:
        return image
    return by_channels(lambda four: cv2.GaussianBlur(four, (cols, rows), 0, borderType=cv2.BORDER_REPLICATE), image)


def by_channels(function: Callable[[NDArray[Any]], NDArray[Any]], image: NDArray[Any]) -> NDArray[Any]:
    """(H, W, C) through a cv2 function: four channels at a time, as cv2's areas and warps know no more (or read them coarsely), and
    in float64 where cv2 does not interpolate the dtype.

    >>> by_channels(lambda four: cv2.flip(four, 1), np.arange(12).reshape(1, 2, 6))[0, 0].tolist()
    [6, 7, 8, 9, 10, 11]
    """
    kind = image.dtype
    if kind not in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
        return rounded(by_channels(function, image.astype(np.float64)), kind)
    if image.shape[-1] <= 4:
        done = function(image)
        return done.reshape(*done.shape[:2], -1)  # cv2 drops a single channel
    parts = [function(np.ascontiguousarray(image[..., c : c + 4])) for c in range(0, image.shape[-1], 4)]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=-1)
