"""Sets of masks to segments, for each of the three questions (MaskFormer, Cheng et al. 2021, arXiv 2107.06278, section 3.4;
Mask2Former, arXiv 2112.01527; EoMT, arXiv 2503.19108).

Masks of objects are formed of the prototypes for kept queries alone, and enlarged as logits to the image's size one at a time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax

from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.core.segments import Segments, narrow
from intarsia.decode._arrays import as_array, check_images
from intarsia.decode._confidence import with_means
from intarsia.ops.cells import argmax_upsampled, upsampled
from intarsia.ops.packing import pack_crops, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Queries
    from intarsia.ops.packing import Crop

    Floats = NDArray[np.float32]

__all__ = ["instances", "panoptic", "semantic"]


def semantic(output: Queries, sizes: Sequence[tuple[int, ...]], classes: ClassSet, *, confidence: bool = False) -> list[Segments]:
    """Each pixel's class of the most evidence, the sum over the queries of the class's probability times the mask's.

    Where the classes allow for nothing, its evidence is what all others lack to 1. Evidence is added up at the prototypes' size and
    interpolated to the image's; a pixel's `confidence` is the evidence of its answer, divided by that of all classes where this is
    over 1.
    """
    answers = []
    for shares, mask_of, size in _images(output, sizes, classes):
        evidence = np.tensordot(shares[:, :-1].T, expit(mask_of(slice(None))), 1)  # (C, *s)
        total = evidence.sum(axis=0)  # (*s)
        planes = np.concatenate([evidence, 1 - total[None]]) if classes.nothing else evidence
        labels = argmax_upsampled(planes, size)  # (*S)
        segments = Segments.from_semantic(labels, len(classes))
        if confidence:
            sure = np.zeros(size, np.float32)
            for label in {*segments.classes.tolist(), *range(len(classes), len(planes))}:
                np.copyto(sure, upsampled(planes[label], size), where=labels == label)
            sure = np.clip(sure / np.maximum(upsampled(total, size), 1), 0, 1)
            segments = with_means(segments, sure)
        answers.append(segments)
    return answers


def instances(
    output: Queries,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.05,
    mask: float = 0.5,
    max_detections: int = 100,
) -> list[Segments]:
    """The `max_detections` best pairs of query and thing class, their masks above `mask`, the surest first.

    They may overlap. A score is the class's probability times the mean of the mask within; below `score` a pair is left out, and
    where its mask is empty. Raises OptionError for a `mask` that is not between 0 and 1.
    """
    if not 0 < mask < 1:
        raise OptionError("mask", expected="a number between 0 and 1", received=mask)
    level = np.log(mask / (1 - mask))  # as a logit
    things, answers = classes.is_thing, []
    for shares, mask_of, size in _images(output, sizes, classes):
        pairs = np.where(things, shares[:, :-1], 0).ravel()  # (QC,)
        order = np.argsort(-pairs, kind="stable")[:max_detections]
        order = order[pairs[order] >= max(score, np.finfo(np.float32).tiny)]  # a mask only lowers what they score
        kept = np.unique(order // len(classes))
        found = dict(zip(kept.tolist(), (_cut(mask, size, level) for mask in mask_of(kept)), strict=True))
        rows = []
        for pair in order.tolist():
            query, label = divmod(pair, len(classes))
            crop, sure = found[query]
            if sure and sure * pairs[pair] >= score:
                rows.append((sure * pairs[pair], label, crop))
        rows.sort(key=lambda row: -row[0])
        scores, labels = [row[0] for row in rows], [row[1] for row in rows]
        answers.append(pack_crops((row[2] for row in rows), size, labels, scores=scores))
    return answers


def _cut(mask: Floats, size: tuple[int, ...], level: float) -> tuple[Crop, float]:
    """Of mask logits (*s) the window of the image that is above `level`, the pixels there, and the mean of their probabilities."""
    logits = upsampled(mask, size)  # (*S)
    inside = logits > level
    window = window_of(inside)
    return (window, inside[window]), float(expit(logits[inside]).mean()) if inside.any() else 0.0


def panoptic(
    output: Queries,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.8,
    overlap: float = 0.8,
    least_area: float = 0.0,
) -> list[Segments]:
    """Each pixel goes to the query of the highest score times mask, of those whose class is surer than `score`, if within its mask.

    A query that is left with less than the share `overlap` of its mask is dropped, its pixels become nothing. Those of one kind of
    stuff are one row, whose score is the highest of theirs; stuff of less than the share `least_area` of the image is left out.
    """
    things, answers = classes.is_thing, []
    for shares, mask_of, size in _images(output, sizes, classes):
        labels, sure = shares.argmax(axis=1), shares.max(axis=1)
        kept = np.flatnonzero((labels < len(classes)) & (sure > score))
        winner, left = _won(mask_of(kept), sure[kept], size, overlap)
        rows = np.zeros(len(kept) + 1, np.intp)  # of each winner, from 1 on
        said: list[int] = []
        scores: list[float] = []
        stuff: dict[int, int] = {}
        for place in np.flatnonzero(left).tolist():
            label, value = int(labels[kept[place]]), float(sure[kept[place]])
            row = len(said) + 1 if things[label] else stuff.setdefault(label, len(said) + 1)
            if row > len(said):
                said.append(label)
                scores.append(value)
            scores[row - 1] = max(value, scores[row - 1])
            rows[place + 1] = row
        segments = Segments(rows[winner][None], said, scores=scores)
        large = things[segments.classes] | (segments.areas >= least_area * winner.size)
        answers.append(segments if large.all() else segments.select(large))
    return answers


def _won(
    masks: Floats, scores: Floats, size: tuple[int, ...], overlap: float
) -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.bool_]]:
    """(*S) which of the masks (N, *s), from 1 on, wins each pixel and covers it; (N,) which are left with enough of themselves."""
    best, inside = np.zeros(size, np.float32), np.zeros(size, np.bool_)
    winner = np.zeros(size, narrow(0, len(scores)))
    areas = np.zeros(len(scores), np.int64)
    for place, (mask, score) in enumerate(zip(masks, scores, strict=True)):
        logits = upsampled(mask, size)  # (*S)
        covered = logits >= 0
        areas[place] = covered.sum()
        value = score * expit(logits)
        won = value > best
        np.copyto(best, value, where=won)
        np.copyto(winner, winner.dtype.type(place + 1), where=won)
        np.copyto(inside, covered, where=won)
    won_areas = np.bincount(winner.ravel(), minlength=len(scores) + 1)[1:]  # of all won pixels, covered or not, as in the papers
    winner[~inside] = 0
    seen = np.bincount(winner.ravel(), minlength=len(scores) + 1)[1:] > 0
    return winner, seen & (won_areas >= overlap * areas)


def _images(
    output: Queries, sizes: Sequence[tuple[int, ...]], classes: ClassSet
) -> Iterator[tuple[Floats, Callable[[Any], Floats], tuple[int, ...]]]:
    """Of each image the class probabilities (Q, C+1), what makes the mask logits (..., *s) of some queries, and its size."""
    logits, coefficients, prototypes = (as_array(name, getattr(output, name)) for name in ("classes", "coefficients", "prototypes"))
    if logits.ndim != 3 or logits.shape[2] != len(classes) + 1:
        raise InvalidNoun("classes of Queries", expected=f"(B, Q, {len(classes) + 1}), no object last", received=logits.shape)
    check_images(logits, sizes)
    for image, size in enumerate(sizes):
        mask_of = partial(_mask_of, coefficients[image], prototypes[image])
        yield softmax(logits[image], axis=1), mask_of, size


def _mask_of(coefficients: Floats, prototypes: Floats, queries: Any) -> Floats:
    """The mask logits (..., *s) of some queries, of (Q, K) and (K, *s)."""
    return np.asarray(np.tensordot(coefficients[queries], prototypes, 1))
