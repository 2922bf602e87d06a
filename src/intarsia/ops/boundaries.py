"""Boundaries of all classes of a label map at once: their pixels, the band along them, distances between two of them, and void.

A boundary that lies in void cannot be seen, but that it is there can: a piece of void that touches two labels parts them, and so
holds a boundary of both, which lies no nearer than the void begins. A piece within one label holds none for certain, but may.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["band", "boundary_points", "edges", "hidden_points", "nearest_distances", "parted", "parting", "void_pieces"]


def edges(labels: NDArray[Any], known: NDArray[np.bool_] | None = None, *, frame: bool) -> NDArray[np.bool_]:
    """(*S) the pixels that touch, by a side, a pixel with another label: for each class the inner boundary of its mask.

    This is the mask less its erosion by a cross, for all classes in one pass. With `frame` what lies outside the image counts as
    another label. Where `known` is False nothing is known: such a pixel is no edge, and makes none of its neighbours one.

    >>> edges(np.array([[0, 0, 0, 1]]), frame=False).tolist()
    [[False, False, True, True]]
    """
    found = np.zeros(labels.shape, np.bool_)
    for axis in range(labels.ndim):
        first, second = _along(labels.ndim, axis, slice(None, -1)), _along(labels.ndim, axis, slice(1, None))
        differ = labels[first] != labels[second]
        if known is not None:
            differ &= known[first]
            differ &= known[second]
        found[first] |= differ
        found[second] |= differ
        if frame:
            found[_along(labels.ndim, axis, slice(0, 1))] = found[_along(labels.ndim, axis, slice(-1, None))] = True
    if known is not None:
        found &= known
    return found


def band(labels: NDArray[Any], width: int, known: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """(*S) the pixels that have another label, or the outside of the image, within `width` pixels along every axis.

    For each class this is the mask less its `width`-fold erosion by a square of three (Cheng et al. 2021, arXiv 2103.16562), found
    for all classes by one minimum and one maximum filter. Labels are -1..65,532. Pixels that are not `known` are in no band and
    make none.

    >>> band(np.array([[0] * 7, [0] * 7, [0] * 7]), 1)[1].tolist()
    [True, False, False, False, False, False, True]
    """
    dtype, unknown = (np.uint8, 255) if labels.max(initial=0) < 254 else (np.uint16, 65535)
    shifted: NDArray[Any] = labels.astype(dtype)
    shifted += 1  # 0 and the highest number are free for what is unknown
    low = high = shifted
    if known is not None:
        low, high = np.where(known, shifted, dtype(unknown)), np.where(known, shifted, dtype(0))
    found: NDArray[np.bool_] = _extreme(low, width, least=True) != shifted
    found |= _extreme(high, width, least=False) != shifted
    for axis in range(labels.ndim):
        found[_along(labels.ndim, axis, slice(0, width))] = True
        found[_along(labels.ndim, axis, slice(max(0, labels.shape[axis] - width), None))] = True
    if known is not None:
        found &= known
    return found


def boundary_points(labels: NDArray[Any], found: NDArray[np.bool_], count: int) -> list[NDArray[np.int64]]:
    """For each of the labels 0..count-1 the coordinates (n, d) of its pixels among the `found`, such as those of `edges`."""
    places = np.flatnonzero(found)
    values = labels.reshape(-1)[places]
    order = np.argsort(values, kind="stable")
    coordinates = np.stack(np.unravel_index(places[order], labels.shape), axis=1)  # d of (n,) -> (n, d)
    bounds = np.searchsorted(values[order], np.arange(count + 1))
    return [coordinates[start:stop] for start, stop in pairwise(bounds)]


def void_pieces(known: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(*S) the number, from 1 on, of the piece of void that a pixel is in, pixels being joined by their sides; 0 where `known`.

    >>> void_pieces(np.array([[True, False, False, True, False]])).tolist()
    [[0, 1, 1, 0, 2]]
    """
    from scipy import ndimage

    return np.asarray(ndimage.label(~known)[0], np.int32)


def parting(labels: NDArray[Any], pieces: NDArray[np.int32], count: int, *, frame: bool) -> NDArray[np.bool_]:
    """(pieces + 1,) whether each of the `pieces` of void touches two of the labels 0..count-1, the outside being one with `frame`.

    >>> parting(np.array([[0, 9, 0, 9, 1]]), np.array([[0, 1, 0, 2, 0]]), 2, frame=False).tolist()
    [False, False, True]
    """
    touched = _touched(labels, pieces, count)
    return np.asarray((touched if frame else touched[:, :count]).sum(axis=1) > 1)


def parted(labels: NDArray[Any], pieces: NDArray[np.int32], parts: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(*S) `labels` with -1 in the `pieces` of void that part others, and (*S) where there is a label now, for `edges` and `band`:
    pixels along such a piece are boundary, and the other pieces make none.
    """
    apart = parts[pieces]
    return np.where(apart, np.asarray(-1, labels.dtype), labels), apart | (pieces == 0)


def hidden_points(labels: NDArray[Any], pieces: NDArray[np.int32], count: int) -> list[NDArray[np.int64]]:
    """For each of the labels 0..count-1 the coordinates (n, d) where its boundary may lie unseen: its pixels along void, and the
    rim of each piece of void that it touches, of which no pixel is nearer to any that is known than the rim's.

    >>> [points.tolist() for points in hidden_points(np.array([[0, 0, 9, 9, 9, 1]]), np.array([[0, 0, 1, 1, 1, 0]]), 2)]
    [[[0, 1], [0, 2], [0, 4]], [[0, 5], [0, 2], [0, 4]]]
    """
    shore = edges(pieces > 0, frame=False)
    known = boundary_points(labels, shore & (pieces == 0), count)
    rim = np.argwhere(shore & (pieces > 0))  # (n, d)
    touched = _touched(labels, pieces, int(labels.max(initial=count)) + 1)[pieces[tuple(rim.T)]]  # (n, labels)
    return [np.concatenate([points, rim[touched[:, label]]]) for label, points in enumerate(known)]


def nearest_distances(
    points: NDArray[Any], others: NDArray[Any], spacing: ArrayLike | None = None, *, within: float = np.inf
) -> NDArray[np.float64]:
    """(n,) the Euclidean distance of each of `points` (n, d) to the nearest of `others` (m, d), which must not be empty.

    Coordinates are those of pixels, scaled by `spacing` (d,). A distance above `within` is given as inf, which is quicker. A tree
    over the points of the boundary alone is 4 to 15 times as fast as a distance transform of the image that holds them.

    >>> nearest_distances(np.array([[0, 0], [0, 9]]), np.array([[3, 4]]), (1, 2)).round(2).tolist()
    [8.54, 10.44]
    """
    from scipy.spatial import KDTree  # a tenth of a second, which evaluate need not wait for

    scale = np.ones(points.shape[1]) if spacing is None else np.asarray(spacing, np.float64)
    bound = np.nextafter(within, np.inf) if np.isfinite(within) else np.inf  # a tree's bound is exclusive
    distances: NDArray[np.float64] = KDTree(others * scale, leafsize=32).query(points * scale, distance_upper_bound=bound)[0]
    return distances


def _touched(labels: NDArray[Any], pieces: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """(pieces + 1, count + 1) whether a piece of void touches each of the labels 0..count-1 by a side; last, the outside."""
    labels = np.pad(labels.astype(np.int64), 1, constant_values=count)
    pieces = np.pad(pieces, 1)
    found = np.zeros((int(pieces.max()) + 1, count + 1), np.bool_)
    for axis in range(labels.ndim):
        first, second = _along(labels.ndim, axis, slice(None, -1)), _along(labels.ndim, axis, slice(1, None))
        for here, there in ((first, second), (second, first)):
            at = (pieces[here] > 0) & (pieces[there] == 0)
            found[pieces[here][at], labels[there][at]] = True
    return found


def _along(ndim: int, axis: int, part: slice) -> tuple[slice, ...]:
    """The index that takes `part` of one axis and all of the others."""
    return tuple(part if number == axis else slice(None) for number in range(ndim))


def _extreme(labels: NDArray[Any], width: int, *, least: bool) -> NDArray[Any]:
    """(*S) the least or the greatest label within `width` pixels along every axis; the outside has none."""
    if labels.ndim == 2:
        morph, side = (cv2.erode if least else cv2.dilate), 2 * width + 1
        return np.asarray(morph(np.ascontiguousarray(labels), np.ones((side, side), np.uint8)))
    from scipy import ndimage

    morph = ndimage.minimum_filter if least else ndimage.maximum_filter
    return np.asarray(morph(labels, size=2 * width + 1, mode="nearest"))
