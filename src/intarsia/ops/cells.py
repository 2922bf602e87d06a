"""The arg-max of up-sampled logits, without ever up-sampling them; exact up to float32 rounding.

Linear interpolation gives each pixel a convex combination of the corners of its low-resolution cell. Where all corners have the
same arg-max, so has every pixel inside; only the mixed cells, a few per cent with a trained network, are interpolated. Where many
cells are mixed (noise, an untrained network) every pixel is, band by band. No (C, *S) array is ever made. Where two classes
differ by less than float32 rounds, either may be named: other orders of the same sum round otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.core.segments import narrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float32]
    Indices = NDArray[np.intp]
    Labels = NDArray[np.signedinteger[Any]]

__all__ = ["argmax_and_confidence", "argmax_upsampled", "middles", "upsampled"]

MIXED_LIMIT = 0.65
"""Share of the pixels above which interpolating all of them is faster than gathering the mixed cells."""
CELL_COST = 5
"""What gathering a cell's corners costs, in pixels interpolated. Both measured at scales 1.3 to 32 with 19 classes."""
BLOCK = 1 << 15
"""Pixels worked on at a time: a plane of them and its running maximum stay in the second-level cache."""


def argmax_upsampled(logits: ArrayLike, size: Sequence[int], *, align_corners: bool = False) -> Labels:
    """The arg-max over C of finite logits (C, *s) interpolated linearly to (*S), in narrow integers; 2-D or 3-D, any scale.

    Sampling points, weights and clamped edges are those of torch's `interpolate(size=size, mode="bilinear" or "trilinear")` without
    antialias, in float32; of equal classes the lowest index wins. Raises InvalidNoun for other shapes.

    >>> argmax_upsampled([[[3.0, 0.0]], [[0.0, 1.0]]], (1, 8)).tolist()  # equal at 3/4 of the way, between pixels 4 and 5
    [[0, 0, 0, 0, 0, 1, 1, 1]]
    """
    scores, axes = _checked(logits, size, align_corners)
    if scores.shape[1:] == tuple(size):
        return _argmax(scores)
    if len(axes) == 2 and len(axes[0].low) * len(axes[1].low) > scores[0].size:
        return _by_cells(scores, axes)
    return _everywhere(scores, axes)


def argmax_and_confidence(
    logits: ArrayLike, size: Sequence[int], *, align_corners: bool = False
) -> tuple[Labels, NDArray[np.float16]]:
    """`argmax_upsampled` and the soft-max probability of its answer, (*S) float16; interpolates every pixel, twice.

    >>> labels, confidence = argmax_and_confidence([[[0.0]], [[1.0]]], (1, 1))
    >>> labels.item(), round(confidence.item(), 2)  # 1 / (1 + exp(-1))
    (1, 0.73)
    """
    scores, axes = _checked(logits, size, align_corners)
    confidence = np.empty(tuple(size), np.float16)
    return _everywhere(scores, axes, confidence), confidence


def middles(cells: int, pixels: int, *, align_corners: bool = False) -> tuple[float, float]:
    """(start, step): of an axis of `pixels` the middle of cell k, of `cells`, is at pixel start + step k; 0 is the first's middle.

    >>> middles(2, 8), middles(2, 8, align_corners=True)
    ((1.5, 4.0), (0.0, 7.0))
    """
    if align_corners:
        return 0.0, (pixels - 1) / max(cells - 1, 1)
    return pixels / cells / 2 - 0.5, pixels / cells


def upsampled(plane: Floats, size: tuple[int, ...], *, align_corners: bool = False) -> Floats:
    """A plane (h, w) interpolated linearly to (H, W), float32, by OpenCV.

    >>> upsampled(np.array([[0.0, 1.0]], np.float32), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    if plane.ndim != 2:
        raise InvalidNoun("plane", expected="(h, w), as volumes are not enlarged here", received=plane.shape)
    if align_corners:
        (_, down), (_, right) = (middles(*lengths, align_corners=True) for lengths in zip(plane.shape, size, strict=True))
        matrix = np.array([[1 / (right or 1), 0, 0], [0, 1 / (down or 1), 0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(plane, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)
    return np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


class _Axis(NamedTuple):
    """Where the pixels of one output axis lie among the samples of the low resolution: (1 - weight) * low + weight * high."""

    low: Indices
    high: Indices
    weight: Floats
    cell: Indices
    """Cell k lies between samples k-1 and k. The clamped edges are cells of their own, so that no cell has many more pixels."""

    @classmethod
    def between(cls, samples: int, pixels: int, align_corners: bool) -> _Axis:
        """As torch's area_pixel_compute_source_index (UpSample.h), step by step in float32 so that ties fall alike."""
        position = np.arange(pixels, dtype=np.float32)
        if align_corners:
            position *= np.float32(samples - 1) / np.float32(max(pixels - 1, 1))
        else:
            position = (position + np.float32(0.5)) * (np.float32(samples) / np.float32(pixels)) - np.float32(0.5)
        low = np.clip(position.astype(np.intp), 0, samples - 1)
        weight = np.clip(position - low.astype(np.float32), 0, 1)
        return cls(low, np.minimum(low + 1, samples - 1), weight, np.where(position < 0, 0, low + 1))

    def pixels_of_cells(self, cells: int) -> tuple[Indices, NDArray[np.bool_]]:
        """(cells, most) the pixels of each cell, short rows filled up with their last one, and (cells,) which cells have any."""
        every = np.arange(cells)
        first, end = np.searchsorted(self.cell, every), np.searchsorted(self.cell, every, side="right")
        steps = np.arange((end - first).max())
        return np.clip(first[:, None] + steps, 0, np.maximum(end - 1, 0)[:, None]), end > first


def _checked(logits: ArrayLike, size: Sequence[int], align_corners: bool) -> tuple[Floats, list[_Axis]]:
    """The logits as float32, and the axes of the output."""
    scores = np.ascontiguousarray(logits, dtype=np.float32)
    if scores.ndim not in (3, 4) or not scores.size:
        raise InvalidNoun("logits", expected="(C, H, W) or (C, D, H, W), none of them 0", received=scores.shape)
    if len(size) != scores.ndim - 1 or min(size) < 1:
        raise InvalidNoun("size", expected=f"{scores.ndim - 1} lengths above 0", received=tuple(size))
    return scores, [_Axis.between(n, pixels, align_corners) for n, pixels in zip(scores.shape[1:], size, strict=True)]


def _first_max(planes: Iterator[Floats], dtype: type[np.signedinteger[Any]]) -> tuple[Labels, Floats]:
    """The index of the first greatest plane at each place, and its value. Planes may share one buffer."""
    best = next(planes).copy()
    labels = np.zeros(best.shape, dtype)
    for index, plane in enumerate(planes, start=1):
        won = np.greater(plane, best)
        np.maximum(best, plane, out=best)
        # indices grow, so the greatest winner is the last one; both steps run at the speed of memory, a masked copy does not
        np.maximum(labels, np.multiply(won.view(np.int8), dtype(index)), out=labels)
    return labels, best


def _argmax(scores: Floats) -> Labels:
    """(C, *s) -> (*s), blockwise: some eight times numpy's argmax over the first axis."""
    flat = scores.reshape(len(scores), -1)  # (C, s)
    labels = np.empty(flat.shape[1], narrow(0, len(scores) - 1))
    for start in range(0, flat.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        labels[block] = _first_max(iter(flat[:, block]), labels.dtype.type)[0]
    return labels.reshape(scores.shape[1:])


def _by_cells(scores: Floats, axes: Sequence[_Axis]) -> Labels:
    """(C, H', W') -> (H, W), interpolating the mixed cells alone."""
    rows, columns = axes
    corners = np.pad(_argmax(scores), 1, mode="edge")  # (H'+2, W'+2), so the clamped edges are cells as well
    corner = corners[:-1, :-1]  # one per cell
    mixed = (corner != corners[1:, :-1]) | (corner != corners[:-1, 1:]) | (corner != corners[1:, 1:])
    pixel_rows, rows_used = rows.pixels_of_cells(mixed.shape[0])
    pixel_columns, columns_used = columns.pixels_of_cells(mixed.shape[1])
    cell_rows, cell_columns = np.nonzero(mixed & rows_used[:, None] & columns_used)
    pixels = pixel_rows.shape[1] * pixel_columns.shape[1]  # of one cell
    if len(cell_rows) * (pixels + CELL_COST) > MIXED_LIMIT * len(rows.cell) * len(columns.cell):
        return _everywhere(scores, axes)
    labels = corner.take(columns.cell, axis=1).take(rows.cell, axis=0)  # (H, W), right wherever the cell is not mixed
    step = max(1, BLOCK // pixels)
    for start in range(0, len(cell_rows), step):
        some = slice(start, start + step)
        at_rows, at_columns = pixel_rows[cell_rows[some]].T, pixel_columns[cell_columns[some]].T  # (pixels of a cell, cells)
        inside = _cell_planes(scores, rows, columns, at_rows, at_columns)
        labels[at_rows[:, None], at_columns] = _first_max(inside, labels.dtype.type)[0]
    return labels


def _cell_planes(scores: Floats, rows: _Axis, columns: _Axis, at_rows: Indices, at_columns: Indices) -> Iterator[Floats]:
    """For each class the values inside some cells, (pixel rows of a cell, its pixel columns, cells): long axis last."""
    width = scores.shape[2]
    above, below = rows.low[at_rows[0]] * width, rows.high[at_rows[0]] * width  # (cells,)
    left, right = columns.low[at_columns[0]], columns.high[at_columns[0]]
    corners = np.stack([above + left, above + right, below + left, below + right])  # (4, cells)
    down, across = rows.weight[at_rows][:, None], columns.weight[at_columns]
    up, back = 1 - down, 1 - across
    value, lower_part = np.empty((2, len(at_rows), *at_columns.shape), np.float32)
    for plane in scores.reshape(len(scores), -1):
        upper_left, upper_right, lower_left, lower_right = plane.take(corners)
        np.multiply(upper_left * back + upper_right * across, up, out=value)
        np.multiply(lower_left * back + lower_right * across, down, out=lower_part)
        yield np.add(value, lower_part, out=value)


def _everywhere(scores: Floats, axes: Sequence[_Axis], confidence: NDArray[np.float16] | None = None) -> Labels:
    """(C, *s) -> (*S), interpolating every pixel band by band along the first axis; fills in `confidence` (*S) if given."""
    size = tuple(len(axis.low) for axis in axes)
    dtype = narrow(0, len(scores) - 1)
    labels = np.empty(size, dtype)
    step = max(1, BLOCK * size[0] // labels.size)
    for start in range(0, size[0], step):
        band = slice(start, start + step)
        samples, place = np.unique([axes[0].low[band], axes[0].high[band]], return_inverse=True)
        low, high = place.reshape(2, -1)
        band_axes = [_Axis(low, high, axes[0].weight[band], low), *axes[1:]]
        labels[band], best = _first_max((_interpolated(plane[samples], band_axes) for plane in scores), dtype)
        if confidence is not None:
            total = sum(np.exp(_interpolated(plane[samples], band_axes) - best) for plane in scores)
            confidence[band] = 1 / total
    return labels


def _interpolated(plane: Floats, axes: Sequence[_Axis]) -> Floats:
    """(*s) -> (*S), the last axis first: it is the dear one, and there are still few rows."""
    for index in reversed(range(plane.ndim)):
        axis = axes[index]
        weight = axis.weight.reshape(-1, *[1] * (plane.ndim - 1 - index))
        low, high = plane.take(axis.low, axis=index), plane.take(axis.high, axis=index)
        plane = np.add(np.multiply(low, 1 - weight, out=low), np.multiply(high, weight, out=high), out=low)
    return plane
