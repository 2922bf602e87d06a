"""Runs of equal values: a label map is a few thousand of them, so counting runs costs no more than finding their edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import IntarsiaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

__all__ = ["joint_counts", "joint_histogram", "joint_runs", "runs", "unruns"]

CHUNK = 1 << 18
"""Pixels counted at a time: two maps and their edges stay in the processor's cache."""
SHORTEST = 8
"""Pixels per run below which counting pixels is faster than counting runs."""


def runs(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.integer[Any]]]:
    """The value and the length of each run of an array of any shape, read in C order; `unruns` takes them back.

    Both are (R,) for R runs; lengths are int32, or int64 from 2**31 pixels on. A run goes on over the end of a line.

    >>> values, lengths = runs(np.array([[7, 7, 2], [2, 2, -1]]))
    >>> values.tolist(), lengths.tolist()
    ([7, 2, -1], [2, 3, 1])
    """
    flat = labels.reshape(-1)  # (*S) -> (H*W,)
    if not flat.size:
        return flat.copy(), np.zeros(0, np.int32)
    bounds = _bounds(flat[1:] != flat[:-1])
    dtype = np.int32 if flat.size < 1 << 31 else np.int64
    return flat[bounds[:-1]], np.diff(bounds).astype(dtype)


def unruns(
    values: NDArray[Any], lengths: NDArray[np.integer[Any]], shape: tuple[int, ...], dtype: DTypeLike | None = None
) -> NDArray[Any]:
    """The array of `shape` that `runs` was given, as `dtype` where one is named.

    Raises IntarsiaError when the lengths do not add up to the shape.

    >>> unruns(np.array([7, 2, -1]), np.array([2, 3, 1]), (2, 3)).tolist()
    [[7, 7, 2], [2, 2, -1]]
    """
    pixels, total = int(np.prod(shape)), int(lengths.sum())
    if pixels != total:
        raise IntarsiaError("runs", expected=f"lengths that add up to {shape}, {pixels} pixels", received=total)
    return np.repeat(values.astype(dtype or values.dtype, copy=False), lengths).reshape(shape)  # (R,) -> (*S)


def joint_histogram(a: NDArray[Any], b: NDArray[Any], rows_a: int, rows_b: int) -> NDArray[np.int64]:
    """(rows_a, rows_b) the number of pixels where `a` holds u and `b` holds v, at `table[u, v]`, for two id maps of one shape.

    Signed maps hold -1..rows-2, and -1 (void) is the last row, `table[-1]`, as numpy indexes: the ids of N segments make N + 2
    rows, nothing first, void last. Unsigned maps hold 0..rows-1; those that call void 255 are given as `labels.view(np.int8)`.

    Runs are counted, not pixels, and a noisy stretch, whose runs are shorter than 8 pixels, pixel by pixel. Counts are exact.
    Raises IntarsiaError for other shapes and for ids out of range, which are found in what is counted, without a pass of their own.

    >>> joint_histogram(np.array([0, 1, 1, -1]), np.array([0, 1, 0, 1]), 3, 3).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    """
    if a.shape != b.shape:
        raise IntarsiaError("two label maps", expected="one shape", received=f"{a.shape} and {b.shape}")
    first_a, first_b = _first(a), _first(b)
    size = rows_a * rows_b
    fused = np.dtype(np.int16 if size < 1 << 15 else np.int64)
    table = np.zeros(size, np.int64)
    for u, v, lengths in joint_runs(a, b, max(CHUNK, size)):  # so that adding up tables never costs more than filling them
        for values, first, rows in ((u, first_a, rows_a), (v, first_b, rows_b)):
            low, high = int(values.min()), int(values.max())
            if low < first or high >= rows + first:
                raise IntarsiaError("label map", expected=f"ids {first}..{rows + first - 1}", received=f"{low}..{high}")
        code: NDArray[Any] = (u.astype(fused) - first_a) * rows_b + (v.astype(fused) - first_b)
        table += np.bincount(code, lengths, size).astype(np.int64)  # as weights the lengths are float64, exact to 2**53
    return np.roll(table.reshape(rows_a, rows_b), (first_a, first_b), axis=(0, 1))


def joint_counts(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs (K, 2) of numbers that two maps of one shape hold at one place, ascending, and (K,) the pixels of each.

    For numbers that are no ids yet, of 0..2**32 - 1. Raises IntarsiaError for others and for other shapes.

    >>> pairs, pixels = joint_counts(np.array([70000, 9, 9, 9]), np.array([0, 0, 0, 5]))
    >>> pairs.tolist(), pixels.tolist()
    ([[9, 0], [9, 5], [70000, 0]], [2, 1, 1])
    """
    codes, pixels = [np.zeros(0, np.uint64)], [np.zeros(0, np.intp)]
    for u, v, lengths in joint_runs(a, b):
        low, high = min(int(u.min()), int(v.min())), max(int(u.max()), int(v.max()))
        if low < 0 or high >= 1 << 32:
            raise IntarsiaError("map", expected=f"numbers 0..{(1 << 32) - 1}", received=f"{low}..{high}")
        codes.append((u.astype(np.uint64) << np.uint64(32)) | v.astype(np.uint64))
        pixels.append(np.ones(len(u), np.intp) if lengths is None else lengths)
    code = np.concatenate(codes)
    order = np.argsort(code)
    code = code[order]
    first = np.flatnonzero(np.append(True, code[1:] != code[:-1])[: len(code)])
    totals = np.add.reduceat(np.concatenate(pixels)[order], first) if len(first) else np.zeros(0, np.intp)
    return np.stack([code[first] >> np.uint64(32), code[first] & np.uint64(2**32 - 1)], axis=1).astype(np.int64), totals


def joint_runs(
    a: NDArray[Any], b: NDArray[Any], step: int = CHUNK
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.intp] | None]]:
    """Of two maps of one shape the value in each and the length of each run in which neither changes, `step` pixels at a time.

    A stretch whose runs are shorter than 8 pixels is given pixel by pixel, without lengths. Raises IntarsiaError for other shapes.

    >>> [(u, v, lengths)] = joint_runs(np.zeros(16, int), np.arange(16) // 9)
    >>> u.tolist(), v.tolist(), lengths.tolist()
    ([0, 0], [0, 1], [9, 7])
    """
    if a.shape != b.shape:
        raise IntarsiaError("two label maps", expected="one shape", received=f"{a.shape} and {b.shape}")
    flat_a, flat_b = a.reshape(-1), b.reshape(-1)  # (*S) -> (H*W,)
    for start in range(0, flat_a.size, step):
        u, v = flat_a[start : start + step], flat_b[start : start + step]
        edges = u[1:] != u[:-1]
        edges |= v[1:] != v[:-1]
        if SHORTEST * np.count_nonzero(edges) < len(u):
            bounds = _bounds(edges)
            yield u[bounds[:-1]], v[bounds[:-1]], np.diff(bounds)
        else:
            yield u, v, None


def _bounds(edges: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(R + 1,) where each run starts, then where the last one ends, from the pixels that differ from the next."""
    inner = np.flatnonzero(edges)
    bounds = np.empty(len(inner) + 2, np.intp)
    bounds[0], bounds[-1] = 0, len(edges) + 1
    np.add(inner, 1, out=bounds[1:-1])
    return bounds


def _first(labels: NDArray[Any]) -> int:
    """The lowest id a map of this type may hold."""
    if labels.dtype.kind not in "iu":
        raise IntarsiaError("label map", expected="integers", received=labels.dtype)
    return -1 if labels.dtype.kind == "i" else 0
