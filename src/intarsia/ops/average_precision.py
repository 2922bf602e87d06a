"""COCO's average precision of many draws of the images at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["average_precision", "weighted_totals"]

RECALLS: NDArray[np.float64] = np.linspace(0, 1, 101)
"""Where precision is read: COCO's, to the last bit."""
FEW = 16
"""Draws from which on they are taken together."""
CELLS = 1 << 21
"""Hits times draws at a time, 16 MiB for each of the few arrays of that many."""


def average_precision(
    hit: NDArray[np.bool_],
    group: NDArray[np.integer[Any]],
    image: NDArray[np.integer[Any]],
    positives: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(R, C) the average precision of each of C groups (such as classes) in each of R draws of I images; nan without positives.

    `hit`, `group` and `image` (n,) are those of n detections, group by group, in each the surest first; `positives` (R, C) the
    objects there are to find; `weights` (R, I) how often a draw holds an image, whole numbers from 0 on. With TP and FP the hits
    and the others among the first k detections, each as often as its image:

        precision_k = TP / (TP + FP)        recall_k = TP / positives
        AP = mean over r = 0, 0.01 .. 1 of the greatest precision_k with recall_k >= r, or 0

    as COCO has it (Lin et al. 2014, arXiv 1405.0312; accumulate of pycocotools' cocoeval.py). The greatest is always met at a hit,
    so only hits are looked at; what lies between them is counted.

    >>> found, one = np.array([True, False, True]), np.zeros(3, int)
    >>> twice = np.array([[1.0, 1.0], [1.0, 2.0]])  # the second image, which holds the last detection, once and twice
    >>> average_precision(found, one, np.array([0, 0, 1]), np.array([[2.0], [3.0]]), twice).round(3).tolist()
    [[0.835], [0.834]]
    """
    scores = np.where(positives > 0, 0.0, np.nan)  # (R, C)
    hits = np.flatnonzero(hit)
    if not len(hits):
        return scores
    following: NDArray[np.int64] = np.cumsum(hit) - hit  # the hit that a detection comes before, or is
    used = np.flatnonzero(following < len(hits))
    used = used[group[hits[following[used]]] == group[used]]  # after the last hit of a group nothing counts
    one, before, seen = np.ones(len(used)), following[used], image[used]
    groups, starts = np.unique(group[hits], return_index=True)
    spans = list(pairwise([*starts.tolist(), len(hits)]))
    step = max(1, CELLS // len(hits))
    for draws in (slice(start, start + step) for start in range(0, len(weights), step)):
        drawn = np.ascontiguousarray(weights[draws].T)  # (R, I) -> (I, R)
        counted, found = _summed(one, before, seen, len(hits), drawn), drawn[image[hits]]  # (hits, R) each, up to now of one hit
        for own, (start, stop) in zip(groups, spans, strict=True):
            so_far, right = counted[start:stop], found[start:stop]
            _accumulate(np.add, so_far)
            _accumulate(np.add, right)
            precision = right / np.maximum(so_far, 1)
            _accumulate(np.maximum, precision[::-1])
            passed = _passed(right / np.maximum(positives[draws, own], 1))
            scores[draws, own] += np.einsum("kr,kr->r", precision, np.diff(passed, axis=0, prepend=0)) / len(RECALLS)
    return scores


def weighted_totals(
    amounts: NDArray[Any],
    group: NDArray[np.integer[Any]],
    image: NDArray[np.integer[Any]],
    groups: int,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(R, C) the sum of `amounts` (n,), each of a `group` 0..C-1 (n,) and an `image` (n,), in R draws of images: `weights` (R, I).

    >>> weighted_totals(np.array([5, 7]), np.array([0, 0]), np.array([0, 1]), 2, np.array([[1.0, 1.0], [0.0, 2.0]])).tolist()
    [[12.0, 0.0], [14.0, 0.0]]
    """
    return _summed(amounts, group, image, groups, np.ascontiguousarray(weights.T)).T  # (C, R) -> (R, C)


def _summed(
    amounts: NDArray[Any], place: NDArray[np.integer[Any]], image: NDArray[np.integer[Any]], places: int, drawn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(places, R) the sum of `amounts` (n,) at each place, as often as R draws hold their images: `drawn` (I, R)."""
    if drawn.shape[1] < FEW:
        return np.stack([np.bincount(place, amounts * draw[image], places) for draw in drawn.T], axis=1, dtype=np.float64)
    from scipy.sparse import csr_array  # half a second to load

    return np.asarray(csr_array((amounts.astype(np.float64), (place, image)), shape=(places, len(drawn))) @ drawn)


def _passed(recall: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the `RECALLS` each recall reaches: those below the nearest, and it, where it does."""
    nearest = (recall * 100 + 1e-6).astype(np.int64)
    return np.asarray(nearest + (recall >= RECALLS[nearest]))


def _accumulate(step: np.ufunc, rows: NDArray[np.float64]) -> None:
    """Each of `rows` (n, R) becomes the `step` of it and all before it, in place: numpy's own is slow across rows that are long."""
    if rows.shape[1] < FEW:
        step.accumulate(rows, axis=0, out=rows)
        return
    for row, before in zip(rows[1:], rows[:-1], strict=True):
        step(before, row, out=row)
