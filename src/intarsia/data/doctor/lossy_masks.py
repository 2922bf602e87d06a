"""Masks in JPEG or WebP, whose ids are blurred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._facts import COLOURED
from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import nearest_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["lossy_masks"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [one for one in survey.pairs if one.label and one.label.lossy], {}


def _mend(part: Part, survey: Survey) -> None:
    """Each value becomes the nearest id that there is, as each colour has already; blurred borders are where it can be wrong."""
    if part.facts.label and part.facts.label.mode not in COLOURED and part.labels is not None and survey.coding:
        part.labels = nearest_ids(part.labels, survey.coding)


def _hopeless(survey: Survey) -> str:
    return "The numbers of objects are lost in it: export the masks anew as PNG." if survey.objects else ""


lossy_masks = Check(
    "error",
    _cases,
    "{count} mask{s} in a lossy format, which changes ids along every border: {first}",
    "Export them anew as PNG. From the lossy file only the nearest id can be guessed.",
    _mend,
    _hopeless,
)
