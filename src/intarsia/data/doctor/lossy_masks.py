"""Masks in JPEG or WebP, whose ids are blurred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._facts import COLOURED
from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import nearest_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["lossy_masks"]

BLUR = 24
"""How far values stray from what they were, in most pixels."""
MOST = 0.8
"""The share of pixels that stray no further."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [one for one in survey.pairs if one.label and one.label.lossy], {}


def _mend(part: Part, survey: Survey) -> None:
    """Each value becomes the nearest id that there is, as each colour has already; blurred borders are where it can be wrong."""
    label = part.facts.label
    if label is None or not label.lossy or label.mode in COLOURED or part.labels is None or survey.coding is None:
        return
    coding = survey.coding
    if _black_and_white(survey):
        part.labels = np.where(part.labels > 127, coding.ids[1], coding.ids[0])
    else:
        part.labels = nearest_ids(part.labels, coding)


def _black_and_white(survey: Survey) -> bool:
    """Whether the lossy masks of two classes are of 0 and 255, the blur aside, and 255 is no class."""
    labels = [one.label for one in survey.pairs if one.label and one.label.lossy]
    total = sum(sum(label.counts.values()) for label in labels)
    ends = sum(count for label in labels for value, count in label.counts.items() if value < BLUR or value > 255 - BLUR)
    white = any(value > 255 - BLUR for label in labels for value in label.counts)
    ids = survey.coding.ids if survey.coding else ()
    return white and ends > MOST * total and len(ids) == 2 and 255 not in ids


def _hopeless(survey: Survey) -> str:
    return "The numbers of objects are lost in it: export the masks anew as PNG." if survey.objects else ""


lossy_masks = Check(
    "error",
    _cases,
    "{count} mask{s} in a lossy format, which changes ids along every border: {first}",
    "Export {count:it|them} anew as PNG. From the lossy file only the nearest id can be guessed.",
    _mend,
    _hopeless,
)
