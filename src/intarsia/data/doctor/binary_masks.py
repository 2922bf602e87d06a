"""Masks of 0 and 255 where 0 and 1 are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import binary_255

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["binary_masks"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [one for one in survey.pairs if one.label and one.label.counts.get(255)] if binary_255(survey) else [], {}


def _mend(part: Part, survey: Survey) -> None:
    """255 becomes 1."""
    if part.labels is not None:
        part.labels = np.where(part.labels == 255, 1, part.labels)


binary_masks = Check(
    "error",
    _cases,
    "{count} mask{s} of 0 and 255, where 255 is no class and so would be void: nothing but class 0 would be learnt",
    'Say that 255 is a class: --data-args "classes={{background: 0, object: 255}}", or a classes.json with the ids',
    _mend,
)
