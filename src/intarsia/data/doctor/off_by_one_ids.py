"""Ids that begin at 1 where the class list begins at 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import off_by_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["off_by_one_ids"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.coding is None or not off_by_one(survey):
        return [], {}
    count = len(survey.coding.ids)
    return [one for one in survey.pairs if one.label and one.label.counts], {"classes": count, "last": count - 1}


def _mend(part: Part, survey: Survey) -> None:
    """Each id becomes one less."""
    if part.labels is not None and survey.coding is not None:
        part.labels = np.where(np.isin(part.labels, survey.coding.void), part.labels, part.labels.astype(np.int64) - 1)


off_by_one_ids = Check(
    "error",
    _cases,
    "the ids are 1 to {classes} in all {count} masks, while the classes are 0 to {last}: each would be taken for the next",
    "Subtract 1 from every id, or write the ids into the class file: '1 name' per line",
    _mend,
)
