"""Masks in which nothing but background or void is labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor.mixed_masks import mixed_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["empty_masks"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.classes is None:
        return [], {}
    apart = survey.objects or survey.classes.nothing or (survey.coding is not None and 0 in survey.coding.void)
    none = {0} if len(survey.classes) > 1 and not apart else set()  # the first class is background, where nothing else is
    told = {one.record.key for one in mixed_masks.cases(survey)[0]}
    empty = [one for one in survey.pairs if one.problem is None and {index for index, _ in one.areas} <= none]
    some = [one for one in empty if one.record.key not in told]
    return some if len(some) < len(survey.pairs) else [], {"all": len(survey.pairs)}


empty_masks = Check(
    "note",
    _cases,
    "{count} of {all} masks {count:shows|show} nothing but background or void: {first}",
    "Right where there is nothing to see; else the mask{s} {count:was|were} lost on the way",
)
