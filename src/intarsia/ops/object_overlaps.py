"""How many pixels each object of one answer shares with each of another, from their id maps: no mask is ever formed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intarsia.core.errors import IntarsiaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["Overlaps", "object_overlaps"]

CHUNK = 1 << 17
"""Pixels counted at a time: a few layers and their edges stay in the processor's cache."""


class Overlaps(NamedTuple):
    """Pixels of N objects of the truth and M of a prediction; but for those of `void`, none is in the truth's void."""

    shared: NDArray[np.int64]
    """(N, M) that both have."""
    truth: NDArray[np.int64]
    """(N,) of each object of the truth."""
    prediction: NDArray[np.int64]
    """(M,) of each object of the prediction."""
    void: NDArray[np.int64]
    """(M,) that an object of the prediction has in the void of the truth."""

    def iou(self) -> NDArray[np.float64]:
        """(N, M) intersection over union; 0 for two without pixels."""
        union = self.truth[:, None] + self.prediction - self.shared
        return np.asarray(self.shared / np.maximum(union, 1), np.float64)


def object_overlaps(truth: Segments, prediction: Segments) -> Overlaps:
    """The pixels that the N rows of `truth` and the M rows of `prediction` share, in each layer of one with each of the other.

    Stretches of pixels are counted along which no layer changes, of which an image has a few thousand. Raises IntarsiaError where
    sizes differ.

    >>> from intarsia.core import Segments
    >>> found = object_overlaps(Segments([[[1, 1, 2, -1]]], [0, 0]), Segments([[[0, 1, 1, 1]], [[2, 2, 0, 0]]], [0, 0]))
    >>> found.shared.tolist(), found.void.tolist(), found.iou().round(2).tolist()
    ([[1, 2], [1, 0]], [1, 0], [[0.33, 1.0], [0.5, 0.0]])
    """
    if truth.size != prediction.size:
        raise IntarsiaError("objects of two answers", expected=f"one size, {truth.size}", received=prediction.size)
    rows, columns = len(truth) + 1, len(prediction) + 1  # of ids, 0 for void in the rows, for nothing in the columns
    table = np.zeros(rows * columns, np.int64)
    of_truth, of_prediction = np.zeros(rows, np.int64), np.zeros(columns, np.int64)
    for values, lengths in _stretches([*truth.ids, *prediction.ids]):
        wanted, given = values[: len(truth.ids)], values[len(truth.ids) :]  # (L, n) each
        wanted[1:, wanted[0] < 0] = 0  # void is void in every layer
        for ids in wanted:
            of_truth += _sums(np.maximum(ids, 0), lengths, rows)
        layer, place = np.divmod(np.flatnonzero(given > 0), len(lengths))
        found, counted = given[layer, place], lengths[place]  # each object of the prediction, wherever it is
        of_prediction += _sums(found, counted, columns)
        for ids in wanted:
            here = ids[place]
            met = np.flatnonzero(here)
            table += _sums(np.maximum(here[met], 0) * columns + found[met], counted[met], len(table))
    shared = table.reshape(rows, columns)
    return Overlaps(shared[1:, 1:], of_truth[1:], of_prediction[1:] - shared[0, 1:], shared[0, 1:])


def _stretches(layers: list[NDArray[Any]]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The ids (L, n) and the lengths (n,) of n stretches of pixels, in C order, of each chunk of the image."""
    flat = [layer.reshape(-1) for layer in layers]  # L of (*S) -> (H*W,)
    for first in range(0, len(flat[0]), CHUNK):
        parts = [layer[first : first + CHUNK] for layer in flat]
        edges = np.ones(len(parts[0]), np.bool_)
        np.not_equal(parts[0][1:], parts[0][:-1], out=edges[1:])
        for part in parts[1:]:
            edges[1:] |= part[1:] != part[:-1]
        starts = np.flatnonzero(edges)
        values = np.array([part.take(starts) for part in parts], np.int64)
        yield values, np.diff(starts, append=len(edges))


def _sums(codes: NDArray[np.int64], lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(size,) the sum of the `lengths` of each code; as weights they are float64, exact to 2**53."""
    return np.bincount(codes, lengths, size).astype(np.int64)
