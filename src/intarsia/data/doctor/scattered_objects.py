"""Objects whose pieces lie far apart, as where a number was given to several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._objects import some_objects, tells_apart
from intarsia.data.doctor.many_objects import many_objects
from intarsia.data.doctor.merged_objects import merged_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["scattered_objects"]

FORMATS = ("coco_panoptic", "object_masks", "voc", "cityscapes")
"""Those in which an object is a number or a file of pixels; among outlines and run lengths pieces are normal."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    drawn = survey.objects or (survey.format in FORMATS and tells_apart(survey))
    if not drawn or merged_objects.cases(survey)[0]:
        return [], {}
    return some_objects(survey, lambda told: told.scattered, many_objects.cases(survey)[0])


scattered_objects = Check(  # not mended: nothing tells whether a piece is another object or a slip of the brush
    "warning",
    _cases,
    "{objects} {objects:object has|objects have} pieces farther apart than the largest is long, and no other object between, in "
    "{count} image{s}: {name} in {first}",
    "Where a number was given twice, or is that of a class, number each object by itself; where a few pixels strayed, remove them. "
    "Right where something that has no label hides the middle",
)
