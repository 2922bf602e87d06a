"""Masks that were resized with interpolation, which invents ids at every border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import invented, made_classes, nearest_pixels, ramps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["interpolated_masks", "mostly_made"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.pairs if one.label and not one.label.lossy and invented(one, survey)]
    return some + (ramps(survey) if mostly_made(survey) else []), {}


def mostly_made(survey: Survey) -> bool:
    """Whether most of the ids that occur are made by interpolation: as many classes are not one pixel wide."""
    return survey.coding is not None and 2 * len(made_classes(survey)) > len(survey.counts)


def _mend(part: Part, survey: Survey) -> None:
    """Invented ids become that of the nearest pixel whose id is known."""
    if part.labels is not None and survey.coding is not None and invented(part.facts, survey):
        part.labels = nearest_pixels(part.labels, survey.coding)


def _hopeless(survey: Survey) -> str:
    """Ids that are known may be right or made by interpolation."""
    return (
        "Export anew the masks in which interpolation made ids that classes have: nobody can tell them from the true ones."
        * bool(ramps(survey) or made_classes(survey))
    )


interpolated_masks = Check(
    "error",
    _cases,
    "{count} mask{s} with ids at the borders that interpolation has made: {first}",
    "Export the masks anew, or resize them by nearest neighbour",
    _mend,
    _hopeless,
)
