"""Masks that were resized with interpolation, which invents ids at every border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import INVENTED, binary_255, invented, nearest_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["interpolated_masks"]

RAMP = 0.3
"""The share of pixels at borders that lie between two others along a line and in value, from which on borders are ramps; in masks
that nobody has interpolated it is below 0.1."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [
        one
        for one in survey.pairs
        if one.label and not one.label.lossy and not survey.objects and not survey.colours and _ramps(one, survey)
    ]
    return [] if binary_255(survey) else some, {}


def _ramps(one: Facts, survey: Survey) -> bool:
    assert one.label is not None
    return bool(invented(one, survey)) or (one.label.edges > 0 and sum(one.label.between.values()) > RAMP * one.label.edges)


def _mend(part: Part, survey: Survey) -> None:
    """Invented ids become that of the nearest pixel whose id is known."""
    if part.labels is not None and survey.coding is not None and invented(part.facts, survey):
        part.labels = nearest_pixels(part.labels, survey.coding)


def _hopeless(survey: Survey) -> str:
    """Ids that are known may be right or made by interpolation."""
    doubtful = any(not invented(one, survey) for one in _cases(survey)[0]) or _made_class(survey)
    return (
        "Export anew the masks in which interpolation made ids that classes have: nobody can tell them from the true ones."
        * doubtful
    )


def _made_class(survey: Survey) -> bool:
    """Whether there are classes whose pixels are hardly anywhere but at borders, and so came of the interpolation themselves."""
    if survey.coding is None:
        return False
    inner = survey.between
    return any(inner.get(value, 0) >= INVENTED * survey.counts[value] for value in survey.coding.ids if value in survey.counts)


interpolated_masks = Check(
    "error",
    _cases,
    "{count} mask{s} with ids at the borders that interpolation has made: {first}",
    "Export the masks anew, or resize them by nearest neighbour",
    _mend,
    _hopeless,
)
