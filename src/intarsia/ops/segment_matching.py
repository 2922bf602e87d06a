"""Segments of truth and of prediction, matched by their joint histogram: which pairs overlap, how much, and what lies in void."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intarsia.core.errors import InvalidNoun, few
from intarsia.ops.runs import joint_counts, joint_histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["Rows", "half_unknown", "matched", "overlap_ious", "overlaps", "overlaps_of_numbers", "partition"]


class Rows(NamedTuple):
    """What is known of segments beside their pixels."""

    classes: NDArray[np.int64]
    """(N,)."""
    crowd: NDArray[np.bool_]
    """(N,)."""


def partition(segments: Segments) -> NDArray[np.signedinteger[Any]]:
    """(*S) the ids of segments, one for each pixel: k > 0 is row k-1, 0 nothing, -1 void.

    Where layers overlap the highest score wins, then the later row, as in `Segments.semantic`; a crowd yields to any object.

    >>> from intarsia.core import Segments
    >>> two = Segments([[[1, 1, 0]], [[0, 2, 2]]], [0, 0], scores=[0.9, 0.4])
    >>> partition(two).tolist()
    [[1, 1, 2]]
    """
    if len(segments.ids) == 1:
        return np.asarray(segments.ids[0])
    order = np.lexsort((np.arange(len(segments)), segments.scores, ~segments.crowd)) + 1  # the winner comes last
    rank = np.zeros(len(segments) + 1, segments.ids.dtype)  # rank 0: nothing
    rank[order] = np.arange(1, len(segments) + 1)
    top = rank.take(np.maximum(segments.ids, 0)).max(axis=0)  # (L, *S) -> (*S)
    ids = np.concatenate([[0], order]).astype(segments.ids.dtype).take(top)
    ids[segments.void] = -1
    return np.asarray(ids)


def overlaps(truth: Segments, prediction: Segments) -> NDArray[np.int64]:
    """(N + 2, N + 2) the pixels that a row of truth and one of prediction share, each with its own N: nothing first, void last.

    Both are taken as partitions. Raises IntarsiaError where their sizes differ.

    >>> from intarsia.core import Segments
    >>> overlaps(Segments([[[1, 1, 0, -1]]], [0]), Segments([[[1, 1, 1, 1]]], [0])).tolist()
    [[0, 1, 0], [0, 2, 0], [0, 1, 0]]
    """
    return joint_histogram(partition(truth), partition(prediction), len(truth) + 2, len(prediction) + 2)


def overlaps_of_numbers(
    truth: NDArray[Any], prediction: NDArray[Any], true_rows: Mapping[int, int], rows: Mapping[int, int]
) -> NDArray[np.int64]:
    """`overlaps` of two maps (*S) that hold other numbers: those of a row from 1 on, as `true_rows` and `rows` say, -1 for void.

    Raises IntarsiaError where their sizes differ, InvalidNoun for a number that has no row.

    >>> overlaps_of_numbers(np.array([[900, 900, 0]]), np.array([[7, 7, 7]]), {900: 1, 0: -1}, {7: 1}).tolist()
    [[0, 0, 0], [0, 2, 0], [0, 1, 0]]
    """
    pairs, pixels = joint_counts(truth, prediction)
    for name, numbers, known in (("truth", pairs[:, 0], true_rows), ("prediction", pairs[:, 1], rows)):
        if strange := set(numbers.tolist()) - set(known):
            raise InvalidNoun(
                f"map of {name}", expected="numbers of segments, or of void", received=few(sorted(map(str, strange)), 5)
            )
    joint = np.zeros([max(0, *each.values()) + 2 for each in (true_rows, rows)], np.int64)
    for (one, other), number in zip(pairs.tolist(), pixels.tolist(), strict=True):
        joint[true_rows[one], rows[other]] += number
    return joint


def overlap_ious(joint: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, N) of `overlaps`, the IoU of each row of truth with each of prediction over the pixels where the truth is not void.

    0 where neither has a pixel.

    >>> overlap_ious(np.array([[0, 1, 0], [0, 2, 0], [0, 1, 0]])).round(3).tolist()
    [[0.667]]
    """
    known = joint[:-1]
    both = known[1:, 1:-1]
    union = known[1:].sum(axis=1)[:, None] + known[:, 1:-1].sum(axis=0) - both
    return np.asarray(both / np.maximum(union, 1))


def matched(
    ious: NDArray[np.float64], truth: Segments | Rows, prediction: Segments | Rows
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of truth and of prediction that are one and the same: of one class, with an IoU above one half, the truth no crowd.

    In partitions a row has at most one such partner (Kirillov et al. 2018, arXiv 1801.00868, theorem 1).

    >>> from intarsia.core import Segments
    >>> one = Segments([[[1]]], [0])
    >>> [rows.tolist() for rows in matched(np.array([[0.6]]), one, one)]
    [[0], [0]]
    """
    rows, partners = np.nonzero(ious > 0.5)
    same = (truth.classes[rows] == prediction.classes[partners]) & ~truth.crowd[rows]
    return rows[same], partners[same]


def half_unknown(joint: NDArray[np.int64], truth: Segments | Rows, prediction: Segments | Rows) -> NDArray[np.bool_]:
    """(N,) whether more than half of each row of prediction lies where `overlaps` has void in the truth, or a crowd of its class.

    >>> from intarsia.core import Segments
    >>> truth, guess = Segments([[[1, -1, -1]]], [0]), Segments([[[1, 1, 1]]], [0])
    >>> half_unknown(overlaps(truth, guess), truth, guess).tolist()
    [True]
    """
    hidden = joint[-1, 1:-1].copy()
    for row in np.flatnonzero(truth.crowd):
        hidden += joint[row + 1, 1:-1] * (prediction.classes == truth.classes[row])
    return np.asarray(2 * hidden > joint[:, 1:-1].sum(axis=0))
