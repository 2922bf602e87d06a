"""Ids beyond the class list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import binary_255, invented, known_ids, off_by_one, strangers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["unknown_ids"]


REMEDY = "Add the classes to the class file, or make the ids void: --data-args void=ID"
PALETTE = (
    ". They are places in the palette of a picture: where its colours stand for the classes instead, write which is which as "
    "'Name R G B' per line of label_colors.txt, and open with --data-args by_colour=True"
)


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.coding is None or off_by_one(survey) or binary_255(survey):
        return [], {}
    some = [
        one for one in survey.pairs if one.label and not one.label.lossy and strangers(one, survey) and not invented(one, survey)
    ]
    values = sorted({value for one in some for value in strangers(one, survey)})
    told = {"remedy": REMEDY + PALETTE * any(one.label is not None and one.label.mode == "P" for one in some)}
    return some, told | {
        "ids": ", ".join(map(str, values[:8])) + (" ..." if len(values) > 8 else ""),
        "classes": len(survey.coding.ids),
    }


def _mend(part: Part, survey: Survey) -> None:
    """Unknown ids become void."""
    if part.labels is not None and survey.coding is not None:
        part.labels = np.where(np.isin(part.labels, list(known_ids(survey.coding))), part.labels, survey.coding.void[0])


def _hopeless(survey: Survey) -> str:
    return "" if survey.coding and survey.coding.void else "No id means void: add the classes of the ids to the class file."


unknown_ids = Check(
    "error",
    _cases,
    "{count} mask{s} with ids that are none of the {classes} classes: {ids}, first in {first}",
    "{remedy}",
    _mend,
    _hopeless,
)
