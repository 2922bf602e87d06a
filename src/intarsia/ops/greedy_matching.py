"""COCO's matching of detections to objects: the surest detection chooses first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EVERYWHERE", "THRESHOLDS", "greedy_matches"]

THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
"""The overlaps from which on a detection may be matched: COCO's, to the last bit."""
EVERYWHERE = (1 << len(THRESHOLDS)) - 1
"""A set of thresholds is a number, with a bit for each; this is that of all."""


def greedy_matches(
    overlaps: NDArray[np.float64], ignored: NDArray[np.bool_], crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """(2 of (K, M)) at which of the ten `THRESHOLDS` each of M detections is matched, and at which of them to an ignored object.

    Bit t of a number stands for threshold t. `overlaps` (M, N) are those of the detections, the surest first, with N objects. At
    each threshold each detection takes the free object that it overlaps most, where that is enough, of equals the last; one that
    is ignored only where no other will do. `ignored` (K, N) says which are, K times anew. An object is taken once, a `crowd` (N,)
    any number of times. This is evaluateImg of pycocotools' cocoeval.py (github.com/cocodataset/cocoapi), all thresholds at once:
    those that a pair reaches are the lowest ones.

    >>> none = np.array([False, False])
    >>> [found], _ = greedy_matches(np.array([[0.62, 0.0], [0.97, 0.5]]), none[None], none)
    >>> [f"{bits:b}" for bits in found]  # the first takes the object up to 0.6, from then on the second has it
    ['111', '1111111001']
    """
    detections, objects = np.nonzero(overlaps >= THRESHOLDS[0])
    values = overlaps[detections, objects]
    order = np.lexsort((-objects, -values, detections))
    detections, objects, values = detections[order], objects[order], values[order]
    reached = (1 << np.searchsorted(THRESHOLDS, values, side="right")) - 1
    pairs = list(zip(detections.tolist(), objects.tolist(), reached.tolist(), strict=True))
    found = np.zeros((2, len(ignored), len(overlaps)), np.uint16)
    for row, unseen in enumerate(ignored):
        last = np.argsort(2 * detections + unseen[objects], kind="stable").tolist()
        found[:, row] = _chosen([pairs[place] for place in last], unseen.tolist(), crowd.tolist(), len(overlaps))
    return found[0], found[1]


def _chosen(pairs: list[tuple[int, int, int]], ignored: list[bool], crowd: list[bool], count: int) -> tuple[list[int], list[int]]:
    """The thresholds at which each of `count` detections is matched, and those to an ignored object, from pairs of detection,
    object and thresholds reached, each better than the next. In Python's numbers: one by one they are faster than numpy's.
    """
    free, left = [EVERYWHERE] * len(ignored), [EVERYWHERE] * count
    matched, dropped = [0] * count, [0] * count
    for detection, row, reached in pairs:
        taken = reached & left[detection] & free[row]
        if taken:
            left[detection] &= ~taken
            matched[detection] |= taken
            if not crowd[row]:
                free[row] &= ~taken
            if ignored[row]:
                dropped[detection] |= taken
    return matched, dropped
