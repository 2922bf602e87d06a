"""Splits to train or validate on in which no pixel has a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["no_truth"]

NEEDED = ("", "train", "val")
"""Splits that others with truth do not make up for."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    seen = [one for one in survey.facts if one.record.split != "test" and one.image and not one.image.error]
    told = {one.record.split for one in seen if _told(one, survey)}
    empty = {one.record.split for one in seen if one.record.split in NEEDED or not told} - told
    splits = " and ".join(split or "the folder" for split in sorted(empty))
    return [one for one in seen if one.record.split in empty], {"splits": splits, "format": survey.format}


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
