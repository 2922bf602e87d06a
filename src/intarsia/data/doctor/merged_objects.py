"""Objects that were never told apart: one for all of a class, in many pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._objects import tells_apart
from intarsia.data.doctor.many_objects import many_objects
from intarsia.data.label_files import OBJECT_VOID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["merged_objects"]

SHARE = 1 / 3
"""The share of objects in two alike pieces or more, from which on none was told apart, where no image has two of a class; where
each is told apart it is a hundredth, and a fifteenth in crowded rooms."""
LEAST = 8
"""Pieces of these from which on that is no chance."""
MANY = 1 / 2
"""The share of objects in many alike pieces, from which on numbers are no objects, where images have several of a class."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if not tells_apart(survey):
        return [], {}
    told = {one.record.key for one in many_objects.cases(survey)[0]}
    seen = [(one, one.objects) for one in survey.facts if one.objects and one.record.key not in told]
    every, parted, pieces, many = (
        sum(getattr(objects, of) for _, objects in seen) for of in ("looked", "parted", "pieces", "many")
    )
    alone = all(objects.most < 2 for _, objects in seen)
    if pieces < LEAST or not (many > MANY * every or (alone and parted > SHARE * every)):
        return [], {}
    return [one for one, objects in seen if objects.parted], {"every": every, "parted": parted, "pieces": pieces}


def _mend(part: Part, survey: Survey) -> None:
    """Each connected part of a number becomes an object."""
    if part.labels is None or part.labels.ndim != 2 or not survey.objects:
        return
    mended = np.where(part.labels == OBJECT_VOID, OBJECT_VOID, 0)
    last = 0
    for number in np.setdiff1d(part.labels, [0, OBJECT_VOID]):
        count, parts = cv2.connectedComponents((part.labels == number).astype(np.uint8), connectivity=8)
        mended = np.where(parts > 0, parts + last, mended)
        last += count - 1
    part.labels = mended if last < OBJECT_VOID else part.labels


merged_objects = Check(
    "warning",
    _cases,
    "{parted} of {every} {every:object|objects}, in {count} image{s}, {parted:is|are} {pieces} separate pieces of alike size: what "
    "is numbered are not single objects, but all of a class at once: {first}",
    "Right where only classes are learnt (--task semantic). For objects number each piece by itself; of masks that number objects "
    "--fix OUT does so, and those that touch stay one",
    _mend,
)
