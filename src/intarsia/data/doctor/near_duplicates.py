"""Images of one split that are almost the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor.similar_images import alike, similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["near_duplicates"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    splits = {one.record.split for one in survey.facts}
    return alike(survey, {one.record.key: other for split in splits for one, other in similar(survey, split, split)})


near_duplicates = Check(
    "note",
    _cases,
    "{count} image{s} that {count:looks|look} almost as another of the same split: {first}",
    "Right for frames of a video; in a split by chance keep them together: intarsia split DATA --group-by similar",
    of_images=True,
)
