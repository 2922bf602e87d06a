"""Ids beyond the class list."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import few
from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import STRAY, binary_255, invented, known_ids, listed, off_by_one, strangers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["unknown_ids"]


FEW = 0.001
"""The share of all pixels up to which unknown ids count as strays."""
STRAYS = "Correct them, or make them void: --data-args void=ID"
MANY = (
    "Find out what they mean before anything else: the names may be of other ids. Then write the class file with ids, '1 name' per "
    "line; '0 void' is a line too"
)
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
    pixels, every = _pixels(survey), sum(survey.counts.values())
    remedy = MANY + _guess(values, survey) if _hopeless(survey) else STRAYS
    told: dict[str, Any] = {"remedy": remedy + PALETTE * any(one.label is not None and one.label.mode == "P" for one in some)}
    told |= {"pixels": pixels, "share": f"{pixels / max(every, 1):.2%}"}
    return some, told | {
        "ids": few([str(value) for value in values], 8),
        "classes": len(survey.coding.ids),
    }


def _mend(part: Part, survey: Survey) -> None:
    """Unknown ids become void."""
    if part.labels is not None and survey.coding is not None:
        part.labels = np.where(np.isin(part.labels, list(known_ids(survey.coding))), part.labels, survey.coding.void[0])


def _hopeless(survey: Survey) -> str:
    """Strays may become void; what is many pixels, or may be a class that else has none, has a meaning that is not known."""
    if survey.coding is None or not survey.coding.void:
        return "No id means void: add the classes of the ids to the class file."
    pixels, every = _pixels(survey), sum(survey.counts.values())
    if pixels > FEW * every:
        return (
            f"The unknown ids are {pixels / every:.1%} of all pixels, too many to be strays: say what they mean in the class file."
        )
    after = listed(survey.coding)
    if survey.counts.get(after, 0) > STRAY * every:
        return f"Id {after} comes next after the class list, perhaps a class that it lacks: say what it means in the class file."
    ids = zip(survey.coding.classes.names, survey.coding.ids, strict=True)
    absent = [name for name, value in ids if value not in survey.counts]
    if absent and pixels:
        return f"The unknown ids may be {absent[0]}, of which no mask has a pixel: say what they mean in the class file."
    return ""


def _pixels(survey: Survey) -> int:
    """How many pixels have an unknown id that interpolation has not made."""
    some = [one for one in survey.pairs if one.label and not one.label.lossy and not invented(one, survey)]
    return sum(one.label.counts[value] for one in some if one.label for value in strangers(one, survey))


def _guess(values: Sequence[int], survey: Survey) -> str:
    """What the ids look like."""
    assert survey.coding is not None
    count, step = listed(survey.coding), gcd(*values)
    if values == [count] and survey.counts.get(0):
        names = f"{count} name{'s' * (count > 1)}"
        return f". Ids 0 to {count} for {names}: either 0 is background or void and the names begin at 1, or one is missing"
    if step > 1 and len(values) > 1 and values[-1] // step < max(count, 1):
        return f". They look like the places in the class list times {step}"
    return ""


unknown_ids = Check(
    "error",
    _cases,
    "{count} mask{s} with ids that are none of the {classes:one class|{classes} classes}: {ids}, {pixels} {pixels:pixel|pixels} "
    "({share}), first in {first}",
    "{remedy}",
    _mend,
    _hopeless,
)
