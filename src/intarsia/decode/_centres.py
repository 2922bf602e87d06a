"""Dense scores with centres and offsets to objects and stuff (Panoptic-DeepLab, Cheng et al. 2020, arXiv 1911.10194, section 3.2).

One deviation: centres are the peaks of the network's own grid, by default among 5x5 cells. The authors enlarge the heat first and
take its peaks among 7x7 pixels, which at stride 4 are not quite 2x2 cells; `kernel` 3 is nearest to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree
from scipy.special import softmax

from intarsia.core.errors import InvalidNoun
from intarsia.core.segments import Segments
from intarsia.decode._arrays import as_array, check_images
from intarsia.ops.cells import argmax_upsampled, middles, upsampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Dense

    Floats = NDArray[np.floating[Any]]
    Indices = NDArray[np.intp]

__all__ = ["instances", "panoptic"]


def panoptic(
    output: Dense,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.0,
    least_area: float = 0.0,
    heat: float = 0.1,
    kernel: int = 5,
    top: int | None = 200,
) -> list[Segments]:
    """For each image, at its own size, a partition: objects, the highest score first, then a row for each stuff class present.

    A centre is a cell above `heat` and the highest of the `kernel` x `kernel` cells around it; the `top` highest are taken, None
    takes all. A pixel that the logits' arg-max calls a thing goes to the centre nearest to where its offset leads, and an object is
    of the class that most of its pixels have. Its score is the heat of its centre times the mean probability of its class, that of
    stuff is 1. Nothing becomes of the things of an image without centres, of objects below `score`, and of stuff of less than the
    share `least_area` of the image. Raises InvalidNoun for volumes, another number of channels or images and an output without
    centres, OptionError for an even kernel.

    >>> from intarsia.core import ClassSet, Dense
    >>> logits, centre = np.zeros((1, 1, 1, 4)), np.array([[[[1.0, 0.0, 0.0, 0.5]]]])
    >>> offset = np.array([[[[0.0, 0.0, 0.0, 0.0]], [[0.0, -1.0, 1.0, 0.0]]]])  # (y, x)
    >>> [cars] = panoptic(Dense(logits, centre, offset), [(1, 4)], ClassSet(("car",), things=("car",)))
    >>> cars.ids.tolist(), cars.scores.tolist()
    ([[[1, 1, 2, 2]]], [1.0, 0.5])
    """
    answers = []
    for image, size in _images(output, sizes, classes, kernel):
        labels = argmax_upsampled(image.logits, size, align_corners=image.align_corners)  # (*S)
        objects = _objects(image, labels, classes, heat, kernel, top)
        kept = np.flatnonzero(objects.scores >= score)
        areas = np.bincount(labels.ravel(), minlength=len(classes))[: len(classes)]
        stuff = np.flatnonzero(~classes.is_thing & (areas >= max(1, least_area * labels.size)))
        rows = np.zeros(len(classes) + 1, np.int32)
        rows[stuff] = np.arange(1, len(stuff) + 1) + len(kept)
        ids = _renumbered(objects, kept) + rows.take(labels)  # no pixel has both
        scores = np.append(objects.scores[kept], np.ones(len(stuff)))
        answers.append(Segments(ids[None], np.append(objects.classes[kept], stuff), scores=scores))
    return answers


def instances(
    output: Dense,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.0,
    max_detections: int | None = None,
    heat: float = 0.1,
    kernel: int = 5,
    top: int | None = None,
) -> list[Segments]:
    """The objects of `panoptic` alone, of `score` or more, the `max_detections` surest; `top` None takes all centres."""
    answers = []
    for image, size in _images(output, sizes, classes, kernel):
        labels = argmax_upsampled(image.logits, size, align_corners=image.align_corners)  # (*S)
        objects = _objects(image, labels, classes, heat, kernel, top)
        kept = np.flatnonzero(objects.scores >= score)[:max_detections]
        answers.append(Segments(_renumbered(objects, kept)[None], objects.classes[kept], scores=objects.scores[kept]))
    return answers


class _Image(NamedTuple):
    """What a network says of one image."""

    logits: Floats
    """(C, *s)."""
    heat: Floats
    """(*s)."""
    offset: Floats
    """(2, *s)."""
    align_corners: bool


class _Objects(NamedTuple):
    """The objects of one image, the highest score first."""

    ids: NDArray[np.int32]
    """(*S), 0 where none is."""
    classes: Indices
    """(N,)."""
    scores: Floats
    """(N,)."""


def _images(
    output: Dense, sizes: Sequence[tuple[int, ...]], classes: ClassSet, kernel: int
) -> Iterator[tuple[_Image, tuple[int, ...]]]:
    """Each image of the batch and its size."""
    if output.centre is None or output.offset is None:
        raise InvalidNoun("output", expected="a Dense output with centre and offset", received="one without")
    logits, count = as_array("logits", output.logits), len(classes)  # (B, C, *s)
    if logits.ndim != 4:
        raise InvalidNoun("logits", expected="(B, C, H, W), because objects are grouped in planes only", received=logits.shape)
    if logits.shape[1] not in (count, count + 1):
        expected = f"(B, {count}, *s), or (B, {count + 1}, *s) with nothing last"
        raise InvalidNoun("logits", expected=expected, received=logits.shape)
    check_images(logits, sizes)
    heats, offsets = as_array("centre", output.centre)[:, 0], as_array("offset", output.offset)
    for scores, heat, offset, size in zip(logits, heats, offsets, sizes, strict=True):
        yield _Image(scores, heat, offset, output.align_corners), size


def _renumbered(objects: _Objects, kept: Indices) -> NDArray[np.int32]:
    """(*S) ids of the rows that are kept, in that order."""
    rows = np.zeros(len(objects.classes) + 1, np.int32)
    rows[kept + 1] = np.arange(1, len(kept) + 1)
    return rows.take(objects.ids)


def _objects(image: _Image, labels: NDArray[Any], classes: ClassSet, lowest: float, kernel: int, top: int | None) -> _Objects:
    """The things among `labels` (*S), told apart."""
    logits, heat, offset, align_corners = image
    size, count, ids = labels.shape, len(logits), np.zeros(labels.shape, np.int32)
    pixels = np.flatnonzero(np.append(classes.is_thing, False).take(labels))  # (n,)
    cells, heights = _peaks(heat, lowest, kernel, top)  # (N, 2), (N,)
    if not len(cells) or not len(pixels):
        return _Objects(ids, np.zeros(0, np.intp), np.zeros(0))
    axes = [middles(*lengths, align_corners=align_corners) for lengths in zip(heat.shape, size, strict=True)]
    starts, steps = np.array(axes).T  # (2,) each
    places = np.stack(np.unravel_index(pixels, size), axis=1)  # (n, 2)
    ways = np.stack(
        [upsampled(plane, size, align_corners=align_corners).take(pixels) for plane in offset], axis=1
    )  # (n, 2) in cells
    distances, near = cKDTree(starts + steps * cells).query(places + steps * ways, k=2)  # (n, 2) each, of N centres, in pixels
    owners = np.where(distances[:, 0] == distances[:, 1], near.min(axis=1), near[:, 0])  # (n,), of two as near the first
    votes = np.bincount(owners * count + labels.take(pixels), minlength=len(cells) * count).reshape(-1, count)  # (N, C)
    areas, winners = votes.sum(axis=1), votes.argmax(axis=1)
    probabilities = softmax(logits, axis=0)  # (C, *s)
    scores = np.zeros(len(cells))
    for index in np.unique(winners[areas > 0]):
        plane = upsampled(probabilities[index], size, align_corners=align_corners)  # (*S)
        total = np.bincount(owners, weights=plane.take(pixels), minlength=len(cells))
        scores = np.where(winners == index, total / np.maximum(areas, 1) * np.clip(heights, 0, 1), scores)
    kept = np.flatnonzero(areas)
    order = kept[np.argsort(-scores[kept], kind="stable")]
    rows = np.zeros(len(cells), np.int32)
    rows[order] = np.arange(1, len(order) + 1)
    ids.flat[pixels] = rows[owners]
    return _Objects(ids, winners[order], scores[order])


def _peaks(heat: Floats, lowest: float, kernel: int, top: int | None) -> tuple[Floats, Floats]:
    """(N, 2) the centres in cells, the highest first, and (N,) their heat; neighbours of equal height are one, in their middle."""
    highest = (heat == cv2.dilate(heat, np.ones((kernel, kernel), np.uint8))) & (heat > lowest)  # (*s)
    _, components, _, middles = cv2.connectedComponentsWithStats(highest.astype(np.uint8), connectivity=8)
    named, first = np.unique(components[highest], return_index=True)
    heights = heat[highest][first]
    order = np.lexsort((first, -heights))[:top]
    return middles[named[order], ::-1], heights[order]  # (x, y) -> (y, x)
