"""Ids that begin at 1 where the class list begins at 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import known_ids, listed, off_by_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.coding import Coding
    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["off_by_one_ids"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.coding is None or not off_by_one(survey):
        return [], {}
    count = listed(survey.coding)
    strays = sum(pixels for value, pixels in survey.counts.items() if _stray(value, survey.coding))
    told = f" (but for {strays} stray pixel{'s' * (strays > 1)}, void in a mended copy)" if strays else ""
    return [one for one in survey.pairs if one.label and one.label.counts], {"classes": count, "last": count - 1, "strays": told}


def _stray(value: int, coding: Coding) -> bool:
    """Whether an id is neither one of those that are meant nor void."""
    return value == 0 or (value > listed(coding) and value not in coding.void)


def _mend(part: Part, survey: Survey) -> None:
    """Each id becomes one less, strays become void."""
    if part.labels is None or survey.coding is None:
        return
    coding = survey.coding
    less = part.labels.astype(np.int64) - 1
    kept = [value for value in coding.void if value > listed(coding)]
    less = np.where(np.isin(part.labels, kept), part.labels, less)
    strange = ~np.isin(less, list(known_ids(coding)))
    part.labels = np.where(strange, coding.void[0], less) if strange.any() else less


def _hopeless(survey: Survey) -> str:
    coding = survey.coding
    strays = coding is not None and not coding.void and any(_stray(value, coding) for value in survey.counts)
    return "No id means void, as which the strays could go: correct them." * strays


off_by_one_ids = Check(
    "error",
    _cases,
    "the ids are 1 to {classes} in {count:the only mask|all {count} masks}{strays}, while the classes are 0 to {last}: each "
    "would be taken for the next",
    "Subtract 1 from every id, or write the ids into the class file: '1 name' per line",
    _mend,
    _hopeless,
)
