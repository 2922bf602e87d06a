"""Images of one split that are almost the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor.similar_images import similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["near_duplicates"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    splits = {one.record.split for one in survey.facts}
    keys = {one.record.key for split in splits for one, _ in similar(survey, split, split)}
    return [one for one in survey.facts if one.record.key in keys], {}


near_duplicates = Check(
    "note",
    _cases,
    "{count} image{s} that look almost as another of the same split: {first}",
    "Right for frames of a video; in a split by chance keep them together: intarsia split DATA --group-by similar",
)
