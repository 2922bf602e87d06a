"""A test split without any mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["unlabelled_test"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.facts if one.record.split == "test" and one.record.image]
    if survey.format != "mask_folder" or any(one.record.label for one in some):  # then some are missing
        return [], {}
    return some, {}


unlabelled_test = Check(
    "note",
    _cases,
    "no image of test has a mask, of {count}: nothing can be scored on it",
    "Right where the truth is kept from you; else add the masks",
    of_images=True,
)
