"""Things that shrink to a few pixels at the size of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._objects import tells_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["small_objects"]

LEAST = 16
"""Pixels below which a thing is lost on a network that scores every fourth pixel each way."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.size is None or survey.classes is None:
        return [], {}
    thing = survey.classes.is_thing
    some, lost, every = [], 0, 0
    least = 2 if tells_apart(survey) else 0  # of those with less lost_objects tells
    for one in survey.facts:
        if one.image is None or not one.image.size:
            continue
        shrink = min(1.0, survey.size[0] / one.image.size[-2]) * min(1.0, survey.size[1] / one.image.size[-1])
        areas = [pixels for index, pixels in one.areas if thing[index]]
        small = sum(pixels >= least and pixels * shrink < LEAST for pixels in areas)
        lost, every = lost + small, every + len(areas)
        if small:
            some.append(one)
    return some, {"lost": lost, "every": every, "size": f"{survey.size[1]}x{survey.size[0]}"}


small_objects = Check(
    "warning",
    _cases,
    "{lost} of {every} {every:object|objects}, in {count} image{s}, {lost:has|have} fewer than 16 pixels at the training size "
    "{size}: {first}",
    "Train at a larger size, or on crops: --crop",
)
