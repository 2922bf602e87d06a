"""Masks whose ids at borders lie between those beside them, by interpolation, or because a class is one pixel wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._ids import ramps
from intarsia.data.doctor.interpolated_masks import mostly_made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["doubtful_borders"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [] if mostly_made(survey) else ramps(survey), {}


doubtful_borders = Check(
    "warning",
    _cases,
    "{count} mask{s} with known ids at the borders that lie between the ids beside them: {first}",
    "Right for a class one pixel wide, such as a wall; else interpolation has made them: export the masks anew, or resize them by "
    "nearest neighbour",
)
