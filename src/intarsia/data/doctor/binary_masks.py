"""Masks of 0 and 255, smoothed borders too, where two ids are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import binary_255, binary_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["binary_masks"]


SOFT = "Export the masks without smoothing (anti-aliasing); --fix OUT makes of each pixel the nearer of the two"


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.coding is None or not binary_255(survey):
        return [], {}
    some = [one for one in survey.pairs if one.label and any(value > 0 for value in one.label.counts)]
    soft = len(survey.counts) > 2
    names = survey.coding.classes.names
    black, white = names if len(names) == 2 and all(map(str.isidentifier, names)) else ("background", "object")
    classes = f'--data-args "classes={{{black}=0,{white}=255}}"'
    told = SOFT if soft else f"Say that 255 is a class: {classes}, or a classes.json with the ids"
    return some, {"soft": " and smoothed borders" * soft, "remedy": told}


def _mend(part: Part, survey: Survey) -> None:
    """The darker half becomes the first id, the brighter the second."""
    if part.labels is not None and survey.coding is not None:
        black, white = binary_ids(survey.coding)
        part.labels = np.where(part.labels > 127, white, black)


def _hopeless(survey: Survey) -> str:
    known = survey.coding is not None and binary_ids(survey.coding)
    return "" if known else "Say which two classes 0 and 255 are: the class list has others."


binary_masks = Check(
    "error",
    _cases,
    "{count} mask{s} of 0 and 255{soft}, where 255 is no class and so would be void: nothing but class 0 would be learnt",
    "{remedy}",
    _mend,
    _hopeless,
)
