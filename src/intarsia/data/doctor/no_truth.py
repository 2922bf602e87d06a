"""Splits to train or validate on in which no pixel has a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["no_truth"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some, splits = [], []
    for split in sorted({one.record.split for one in survey.facts} - {"test"}):
        own = [one for one in survey.facts if one.record.split == split and one.image and not one.image.error]
        if own and not any(_told(one, survey) for one in own):
            some += own
            splits.append(split or "the folder")
    return some, {"splits": " and ".join(splits), "format": survey.format}


def _told(one: Facts, survey: Survey) -> bool:
    """Whether an image has truth, or truth of which another check says why it cannot be read."""
    unread = one.problem or (one.label and one.label.error) or (survey.refused and one.record.label)
    return bool(unread) or any(pixels for _, pixels in one.areas)


no_truth = Check(
    "error",
    _cases,
    "not one pixel has a label in {splits}, {count} image{s} read as {format}: there is nothing to train or to score on",
    "Add the labels where this format looks for them (see docs/data.md), or say what they are: --format, --data-args",
)
