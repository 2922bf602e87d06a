"""Masks in which nothing but the first class, or nothing at all, is labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["empty_masks"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.classes is None or (len(survey.classes) < 2 and not survey.classes.nothing):
        return [], {}
    some = [one for one in survey.pairs if one.problem is None and not [index for index, _ in one.areas if index or survey.objects]]
    return some if len(some) < len(survey.pairs) else [], {"all": len(survey.pairs)}


empty_masks = Check(
    "note",
    _cases,
    "{count} of {all} masks {count:shows|show} nothing but background: {first}",
    "Right where there is nothing to see; else the mask{s} {count:was|were} lost on the way",
)
