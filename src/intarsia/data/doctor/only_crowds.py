"""Training images in which every object is a crowd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["only_crowds"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    seen = [(one, one.objects) for one in survey.facts if one.objects and one.record.split not in ("val", "test")]
    crowds = sum(objects.crowds for _, objects in seen)
    single = any(objects.single for _, objects in seen)
    return [] if single else [one for one, _ in seen], {"crowds": crowds}


only_crowds = Check(
    "note",
    _cases,
    "{crowds:the only object|all {crowds} objects} to train on, in {count} image{s}, {crowds:is a crowd|are crowds}, which nothing "
    "is learnt of: {first}",
    "Right for classes alone; for objects write iscrowd 0 for those that are single, or add images that show such",
    of_images=True,
)
