"""What the objects of an image say of themselves, in a few numbers: given twice, in pieces, without pixels, beside their boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from intarsia.core.segments import Segments
from intarsia.data.doctor._boxes import FITTING, Misfit, misfit
from intarsia.ops.boxes import box_extents, shared_extents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["ObjectFacts", "Some", "object_facts", "some_objects", "tells_apart"]

ALIKE = 4
"""Pieces are alike where the largest is up to so many times as large."""
SEVERAL = 4
"""Alike pieces from which on they are many."""
SAME = 0.9
"""The IoU above which two objects are one."""
LOOKED_AT = 16
"""The largest pieces of an object, which are looked at."""
BUDGET = 64
"""Times the pixels of the image that the boxes of the objects looked at have together: those beyond it are left out."""
STEPS = 64
"""Pixels looked at between two pieces."""
FORMATS = ("coco_instances", "coco_panoptic", "object_masks", "yolo", "labelme")
"""Those that hold nothing but objects, or everything told apart."""


class Some(NamedTuple):
    """How many objects of an image have a thing, and which has it first."""

    number: int = 0
    kind: int = 0
    """Its class."""
    x: int = 0
    y: int = 0
    """The middle of its box, in pixels."""


NONE = Some()
NOWHERE = (0, 0)
"""What boxes without pixels have for their middle."""


@dataclass(frozen=True)
class ObjectFacts:
    """What is known of the objects of an image: rows of things."""

    single: int
    """Objects that are no crowds."""
    crowds: int
    most: int
    """The most single objects of one class."""
    lost: Some = NONE
    """Objects of one pixel or none."""
    empty: int = 0
    """Of those, objects without any."""
    repeated: Some = NONE
    """Objects that cover the pixels of an earlier one of their class."""
    scattered: Some = NONE
    """Objects in pieces farther apart than the largest is long, with no other object between."""
    looked: int = 0
    """Objects whose pieces were looked at."""
    parted: int = 0
    """Of those, objects of two alike pieces or more."""
    pieces: int = 0
    """Those of all these."""
    many: int = 0
    """Objects of many alike pieces."""
    astray: Some = NONE
    """Objects whose box in the file does not fit their pixels."""
    misfit: Misfit = FITTING
    """What would mend most of these boxes."""


def object_facts(segments: Segments, areas: NDArray[np.float64], things: NDArray[np.bool_]) -> ObjectFacts | None:
    """Those of an image, whose `areas` (N,) are of its pixels and whose `things` are (C,) bool; None without objects. Pieces are
    looked at in images, not in volumes.
    """
    own = things[segments.classes]
    if not own.any():
        return None
    plain = Segments(segments.ids, segments.classes)  # a file may tell other boxes than those of its pixels
    boxes, stored = plain.boxes, segments.boxes

    def some(rows: Sequence[int]) -> Some:
        if not len(rows):
            return NONE
        box = boxes[rows[0]] if areas[rows[0]] else stored[rows[0]]
        x, y = (box[:2] + box[len(box) // 2 :][:2]) // 2
        return Some(len(rows), int(segments.classes[rows[0]]), int(x), int(y))

    single = own & ~segments.crowd
    most = int(np.bincount(segments.classes[single], minlength=1).max())
    lost = np.flatnonzero(own & (areas < 2)).tolist()
    known = ObjectFacts(int(single.sum()), int((own & segments.crowd).sum()), most, some(lost), int((areas[lost] == 0).sum()))
    if len(segments.size) != 2:
        return known
    rows = np.flatnonzero(single & (areas > 1))
    hides = np.concatenate([[False], own, [True]])  # by id, void last
    scattered, alike = [], []
    budget = BUDGET * plain.ids[0].size
    for row in rows.tolist():
        budget -= int(box_extents(boxes[row : row + 1])[0])
        if budget < 0:
            break
        count, apart = _pieces(plain.ids, row, boxes[row].astype(int).tolist(), hides)
        alike.append(count)
        scattered += [row] * apart
    counts = np.array(alike, np.int64)
    astray, cause = misfit(boxes[rows], stored[rows], segments.size)
    return replace(
        known,
        repeated=some(_repeated(plain, rows, boxes, areas)),
        scattered=some(scattered),
        looked=len(counts),
        parted=int((counts > 1).sum()),
        pieces=int(counts[counts > 1].sum()),
        many=int((counts >= SEVERAL).sum()),
        astray=some(rows[astray].tolist()),
        misfit=cause,
    )


def tells_apart(survey: Survey) -> bool:
    """Whether the labels tell the objects of a class apart, or say that they do."""
    return survey.objects or survey.format in FORMATS or any(one.objects and one.objects.most > 1 for one in survey.facts)


def some_objects(
    survey: Survey, which: Callable[[ObjectFacts], Some], but: Sequence[Facts] = ()
) -> tuple[list[Facts], dict[str, Any]]:
    """The images that have such objects, without those of `but`, and for the texts how many these `objects` are and which is the
    first, its `name` with its place where that is known.
    """
    told = {one.record.key for one in but}
    some = [one for one in survey.facts if one.objects and which(one.objects).number and one.record.key not in told]
    if not some or survey.classes is None:
        return [], {}
    found = [which(one.objects) for one in some if one.objects]
    first = found[0]
    place = f" at x {first.x}, y {first.y}" * (first[2:] != NOWHERE)
    return some, {"objects": sum(one.number for one in found), "name": survey.classes.names[first.kind] + place}


def _pieces(ids: NDArray[Any], row: int, box: list[int], hides: NDArray[np.bool_]) -> tuple[int, bool]:
    """How many pieces a row has that are alike, and whether some lie far from all others."""
    left, top, right, bottom = box
    mask = (ids[:, top:bottom, left:right] == row + 1).any(axis=0)  # (L, H, W) -> (H, W)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count == 2:  # the first is what is around
        return 1, False
    stats = stats[1:]
    stats = stats[np.argsort(-stats[:, 4], kind="stable")[:LOOKED_AT]]  # (P, 5): x, y, width, height, pixels
    alike = int((stats[:, 4] * ALIKE >= stats[0, 4]).sum())
    low = stats[:, :2] + (left, top)
    high = low + stats[:, 2:4] - 1  # the last pixel
    reach = int(stats[0, 2:4].max())
    start = np.clip(((low + high) // 2)[None], low[:, None], high[:, None])  # (P, P, 2), of each box toward each other
    end = np.clip(start, low[None], high[None])
    gaps = np.hypot(*np.moveaxis(end - start, -1, 0))  # (P, P)
    if (gaps <= reach).all():
        return alike, False
    steps = np.linspace(0, 1, STEPS)[:, None, None, None]
    between = np.rint(start + (end - start) * steps).astype(np.int64)  # (steps, P, P, 2)
    covered = hides[ids[:, between[..., 1], between[..., 0]]].any(axis=0).mean(axis=0)  # (L, steps, P, P) -> (P, P)
    near = gaps * (1 - covered) <= reach
    reached = near[0]
    for _ in range(len(near)):
        reached = near[reached].any(axis=0)
    return alike, not reached.all()


def _repeated(segments: Segments, rows: NDArray[np.intp], boxes: NDArray[Any], areas: NDArray[Any]) -> list[int]:
    """The rows that cover the pixels of an earlier one of their class; only rows of different layers can."""
    if len(segments.ids) == 1:
        return []
    order = rows[np.lexsort((areas[rows], segments.classes[rows]))]
    classes, sizes, around = segments.classes[order], areas[order], box_extents(boxes[order])
    found = set()
    for place, row in enumerate(order.tolist()):
        last = np.searchsorted(classes, classes[place], "right")
        last = place + 1 + int(np.searchsorted(sizes[place + 1 : last], sizes[place] / SAME, "right"))
        others = np.arange(place + 1, last)
        shared = shared_extents(boxes[[row]], boxes[order[others]])[0]
        for other in order[others[shared * 2 > np.minimum(around[place], around[others])]].tolist():
            if _iou(segments.ids, row, other, np.concatenate([boxes[row], boxes[other]])) > SAME:
                found.add(max(row, other))
    return sorted(found)


def _iou(ids: NDArray[Any], row: int, other: int, corners: NDArray[Any]) -> float:
    """That of two rows within both their boxes."""
    low, high = corners.reshape(-1, 2).min(axis=0).astype(int), corners.reshape(-1, 2).max(axis=0).astype(int)
    window = ids[:, low[1] : high[1], low[0] : high[0]]
    one, two = ((window == number + 1).any(axis=0) for number in (row, other))  # (L, H, W) -> (H, W)
    return float((one & two).sum() / max((one | two).sum(), 1))
