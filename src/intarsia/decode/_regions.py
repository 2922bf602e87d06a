"""Regions to segments: each mask pasted into its box at the size of the file, one over the other, or with stuff between them
(Kirillov et al. 2019, arXiv 1901.02446, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.core.segments import Segments
from intarsia.decode._arrays import as_array, check_images
from intarsia.ops.boxes import boxes_in_pixels
from intarsia.ops.cells import argmax_upsampled
from intarsia.ops.packing import pack_crops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Regions
    from intarsia.ops.packing import Crop

    Floats = NDArray[np.float32]

__all__ = ["instances", "merged", "pasted"]


def instances(
    output: Regions,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.05,
    mask: float = 0.5,
    max_detections: int | None = None,
) -> list[Segments]:
    """The objects of each image at its own size *S, the surest first: up to `max_detections` that score at least `score`, of each
    the pixels whose mask is above `mask`. They may overlap; one without a pixel is left out. Boxes are the network's. Only things
    are told.

    Raises InvalidNoun for another number of images, and for classes that are not among `classes`.
    """
    answers = []
    for found, size in _images(output, sizes, classes):
        rows = [(row, crop) for row, crop in found.of(classes.is_thing).pasted(size, score, mask, max_detections) if crop[1].any()]
        kept = [row for row, _ in rows]
        boxes = boxes_in_pixels(found.boxes[kept], size)  # (N, 4)
        answers.append(pack_crops((crop for _, crop in rows), size, found.classes[kept], scores=found.scores[kept], boxes=boxes))
    return answers


def merged(
    output: Regions,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    score: float = 0.5,
    overlap: float = 0.5,
    least_area: float = 0.0,
) -> list[Segments]:
    """A partition of each image at its own size *S: the things found, then stuff in what they leave.

    Things that score at least `score` come by descending score; each gets what those before left of its mask, and none where that
    is less than the share `overlap`. Then each kind of stuff gets what the semantic branch says and no thing has taken, unless that
    is less than the share `least_area` of the image. The rest is nothing, also where the branch says a thing; stuff scores 1.

    Raises InvalidNoun for an output without a semantic branch and for numbers of channels or images that do not fit.
    """
    if output.semantic is None:
        raise InvalidNoun("panoptic decode", expected="Regions with a semantic branch", received="none")
    logits = as_array("logits", output.semantic.logits)  # (B, C, *s)
    check_images(logits, sizes)
    if logits.shape[1] not in (len(classes), len(classes) + 1):
        raise InvalidNoun("logits", expected=f"(B, {len(classes) + 1}, *s) with nothing last", received=logits.shape)
    answers = []
    for plane, (found, size) in zip(logits, _images(output, sizes, classes), strict=True):
        said = np.zeros(size, np.int32)
        rows: list[tuple[int, float]] = []  # class and score
        for row, (window, pixels) in found.of(classes.is_thing).pasted(size, score):
            free = pixels & (said[window] == 0)
            if free.any() and free.sum() >= overlap * pixels.sum():
                rows.append((int(found.classes[row]), float(found.scores[row])))
                said[window][free] = len(rows)
        labels = np.where(said > 0, -1, argmax_upsampled(plane, size, align_corners=output.semantic.align_corners))  # (*S)
        areas = np.bincount(labels[labels >= 0], minlength=len(classes) + 1)[: len(classes)]
        for label in np.flatnonzero((areas > 0) & (areas >= least_area * labels.size) & ~classes.is_thing).tolist():
            rows.append((label, 1.0))
            said[labels == label] = len(rows)
        answers.append(Segments(said[None], [row[0] for row in rows], scores=[row[1] for row in rows]))
    return answers


@dataclass(frozen=True, eq=False)
class _Found:
    """The regions of one image, as given."""

    boxes: Floats
    classes: NDArray[np.int64]
    scores: Floats
    masks: Floats
    order: NDArray[np.int64]
    """Rows, the surest first, equal ones as given."""

    def of(self, wanted: NDArray[np.bool_]) -> _Found:
        """Those of the classes that are `wanted` (C,)."""
        return replace(self, order=self.order[wanted[self.classes[self.order]]])

    def pasted(self, size: tuple[int, ...], score: float, mask: float = 0.5, most: int | None = None) -> Iterator[tuple[int, Crop]]:
        """The `most` of at least `score`, each with its row, the surest first."""
        for row in self.order[self.scores[self.order] >= score][:most].tolist():
            yield row, pasted(self.masks[row], self.boxes[row], size, mask)


def _images(output: Regions, sizes: Sequence[tuple[int, ...]], classes: ClassSet) -> Iterator[tuple[_Found, tuple[int, ...]]]:
    """What is found in each image, and its size."""
    check_images(output.boxes, sizes)
    if not len(output.boxes) == len(output.classes) == len(output.scores) == len(output.masks):
        raise InvalidNoun("Regions", expected="boxes, classes, scores and masks", received="some of them")
    for image, size in enumerate(sizes):
        boxes, labels, scores, masks = (
            as_array(f"Regions {name}", getattr(output, name)[image]) for name in ("boxes", "classes", "scores", "masks")
        )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise InvalidNoun("Regions classes", expected=f"0..{len(classes) - 1}", received=f"{labels.min():g}..{labels.max():g}")
        yield _Found(boxes, labels.astype(np.int64), scores, masks, np.argsort(-scores, kind="stable")), size


def pasted(mask: Floats, box: Floats, size: tuple[int, ...], threshold: float = 0.5) -> Crop:
    """A mask (m, m) of probabilities within a box (x0, y0, x1, y1), in shares of the image, as a window of the image of `size` and
    the pixels there that are above `threshold`.

    Linear between the centres of the cells and towards zeros around them, taken at the centres of the pixels, as in detectron2: a
    mask of ones ends where its box ends. Torchvision rounds boxes to whole pixels first, which makes small objects a pixel larger.

    >>> window, pixels = pasted(np.ones((2, 2), np.float32), np.array([0.25, 0.0, 0.75, 1.0], np.float32), (4, 4))
    >>> window, pixels.astype(int).tolist()
    ((slice(0, 4, None), slice(0, 4, None)), [[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]])
    """
    height, width = size
    rows, down = _weights(float(box[1]) * height, float(box[3]) * height, height, len(mask))
    columns, across = _weights(float(box[0]) * width, float(box[2]) * width, width, len(mask))
    here: Any = down @ mask @ across.T > threshold
    return (rows, columns), here


def _weights(low: float, high: float, length: int, cells: int) -> tuple[slice, Floats]:
    """Along one axis the pixels, of `length`, that a box from `low` to `high` reaches, and what each takes of each of its cells."""
    cell = max(high - low, 1e-6) / cells
    start = min(max(floor(low - cell / 2), 0), length)
    stop = max(min(ceil(high + cell / 2), length), start)
    places = (np.arange(start, stop) + 0.5 - low) / cell - 0.5  # of the pixels' centres, counted from the centre of the first cell
    return slice(start, stop), np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells))).astype(np.float32)
