"""Classes that have hardly a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["rare_classes"]

LEAST = 0.001
"""The share of all labelled pixels below which a class is hardly ever seen."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    total: dict[int, float] = {}
    for one in survey.facts:
        for index, pixels in one.areas:
            total[index] = total.get(index, 0) + pixels
    every = sum(total.values())
    if survey.classes is None or not every:
        return [], {}
    rare = sorted((pixels / every, index) for index, pixels in total.items() if 0 < pixels < LEAST * every)
    told = ", ".join(f"{survey.classes.names[index]} {share:.3%}" for share, index in rare[:6])
    indices = {index for _, index in rare}
    return [one for one in survey.facts if any(index in indices for index, _ in one.areas)], {"classes": len(rare), "told": told}


rare_classes = Check(
    "warning",
    _cases,
    "of {classes} of the classes there is less than a thousandth of the pixels: {told}",
    "Weigh {classes:it or show it|them or show them} more often: --class-weights sqrt_median_frequency, --rare-crops 0.5",
)
