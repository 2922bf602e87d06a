"""Queries with boxes to objects: the best of overlapping boxes, and within each a sum of prototypes (YOLACT, Bolya et al. 2019,
arXiv 1904.02689, section 3.3).

Deviations: non-maximum suppression is the exact, greedy one, not the paper's fast one, in which boxes that are gone still suppress
others; and masks are cut to their boxes at the image's size, not at the prototypes'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, softmax

from intarsia.core.errors import InvalidNoun
from intarsia.decode._arrays import as_array, check_images
from intarsia.ops.boxes import box_extents, boxes_in_pixels, shared_extents
from intarsia.ops.packing import pack_crops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Queries
    from intarsia.core.segments import Segments
    from intarsia.ops.packing import Crop

    Floats = NDArray[np.floating[Any]]
    Indices = NDArray[np.intp]

__all__ = ["instances", "suppressed"]

CANDIDATES = 200
"""Boxes of each class that are compared with each other, those of the highest probability, unless more are asked for."""


def instances(
    output: Queries,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.05,
    mask: float = 0.5,
    max_detections: int = 100,
    overlap: float = 0.5,
) -> list[Segments]:
    """The objects of each image at its own size *S, the surest first: up to `max_detections` of at least the probability `score`.

    Of boxes of one class that overlap by more than `overlap` (intersection over union) only the best remains. An object is the
    pixels of its box where its mask is above `mask`; one without any is left out. Objects may overlap; their boxes are the
    network's. Raises InvalidNoun for queries without boxes, volumes, and numbers of channels or images that do not fit.

    >>> from intarsia.core import ClassSet, Queries
    >>> sure, box = np.array([[[9.0, 9.0, -99.0]]]), np.array([[[0.0, 0.0, 0.5, 1.0]]])
    >>> said = Queries(sure, np.ones((1, 1, 1)), np.ones((1, 1, 1, 1)), boxes=box)
    >>> [found] = instances(said, [(1, 4)], ClassSet(("cat", "dog"), things=("cat", "dog")))  # it may be either
    >>> found.ids.tolist(), found.scores.tolist()
    ([[[1, 1, 0, 0]], [[2, 2, 0, 0]]], [0.5, 0.5])
    """
    if output.boxes is None:
        raise InvalidNoun("Queries", expected="boxes, within which masks are taken", received="none")
    logits, boxes = as_array("Queries classes", output.classes), as_array("Queries boxes", output.boxes)
    coefficients, prototypes = as_array("coefficients", output.coefficients), as_array("prototypes", output.prototypes)
    if prototypes.ndim != 4:
        raise InvalidNoun("prototypes", expected="(B, K, H, W), because boxes are flat", received=prototypes.shape)
    if logits.shape[2] != len(classes) + 1:
        raise InvalidNoun("Queries classes", expected=f"(B, Q, {len(classes) + 1}), no object last", received=logits.shape)
    check_images(logits, sizes)
    answers = []
    for image, size in enumerate(sizes):
        shares = softmax(logits[image], axis=1)[:, :-1] * classes.is_thing  # (Q, C+1) -> (Q, C)
        queries, labels, scores = _candidates(shares, score, max(CANDIDATES, max_detections))
        kept = suppressed(boxes[image][queries], scores, labels, overlap)[:max_detections]
        sums = coefficients[image][queries[kept]] @ prototypes[image].reshape(prototypes.shape[1], -1)  # (N, cells)
        planes = expit(sums).reshape(-1, *prototypes.shape[2:])  # (N, *s)
        crops = list(_crops(planes, boxes[image][queries[kept]], size, mask))
        seen = np.array([pixels.any() for _, pixels in crops], np.bool_)
        kept = kept[seen]
        rows = (crop for crop, there in zip(crops, seen, strict=True) if there)
        given = boxes_in_pixels(boxes[image][queries[kept]], size)  # (N, 4)
        answers.append(pack_crops(rows, size, labels[kept], scores=scores[kept], boxes=given))
    return answers


def suppressed(boxes: Floats, scores: Floats, labels: Indices, overlap: float) -> Indices:
    """The rows of boxes (N, 4) that remain, the highest of `scores` (N,) first and of equals the first: one that overlaps a better
    one of the same of `labels` (N,) by more than `overlap` goes.

    >>> boxes = np.array([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 3.0, 1.0]])
    >>> suppressed(boxes, np.array([0.5, 0.9, 0.2]), np.array([0, 0, 0]), 0.4).tolist()
    [1, 2]
    """
    gone = np.zeros(len(scores), np.bool_)
    order = np.argsort(-scores, kind="stable")
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        shared, extents = shared_extents(boxes[rows], boxes[rows]), box_extents(boxes[rows])  # (n, n), (n,)
        close = shared > overlap * (extents[:, None] + extents - shared)
        for place, row in enumerate(rows):
            if not gone[row]:
                gone[rows[place + 1 :][close[place, place + 1 :]]] = True
    return np.asarray(order[~gone[order]])


def _candidates(probabilities: Floats, score: float, most: int) -> tuple[Indices, Indices, Floats]:
    """(N,) each, the query, class and probability of the pairs of (Q, C) that count; the `most` probable of each class."""
    some = np.flatnonzero(probabilities.max(axis=1, initial=0) >= score)  # (n,)
    best = some[np.argsort(-probabilities[some], axis=0, kind="stable")[:most]]  # (candidates, C)
    chosen = np.take_along_axis(probabilities, best, axis=0).T  # (C, candidates)
    labels, places = np.nonzero(chosen >= score)
    return best[places, labels], labels, chosen[labels, places]


def _crops(planes: Floats, boxes: Floats, size: tuple[int, ...], threshold: float) -> Iterator[Crop]:
    """Of each of (N, *s) masks the window of its box and the pixels there that are above the threshold, linear between cells."""
    for plane, (x0, y0, x1, y1) in zip(planes, np.clip(boxes, 0, 1), strict=True):
        (rows, above, below, down), (columns, left, right, across) = (
            _along(low, high, cells, pixels) for low, high, cells, pixels in zip((y0, x0), (y1, x1), plane.shape, size, strict=True)
        )
        lines = plane[above] * (1 - down)[:, None] + plane[below] * down[:, None]  # (rows, w)
        yield (rows, columns), lines[:, left] * (1 - across) + lines[:, right] * across > threshold


def _along(low: float, high: float, cells: int, pixels: int) -> tuple[slice, Indices, Indices, Floats]:
    """The pixels of an axis whose middles are between two shares of it, the cells before and after each, the latter's part."""
    first, end = (int(np.ceil(edge * pixels - 0.5)) for edge in (low, high))
    window = slice(first, max(end, first))
    places = np.clip((np.arange(window.start, window.stop) + 0.5) * (cells / pixels) - 0.5, 0, cells - 1)
    before = places.astype(np.intp)
    return window, before, np.minimum(before + 1, cells - 1), places - before
