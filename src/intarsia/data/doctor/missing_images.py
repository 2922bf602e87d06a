"""Masks without an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, left_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["missing_images"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [one for one in survey.facts if one.record.label and not one.record.image and survey.format == "mask_folder"], {}


missing_images = Check(
    "error",
    _cases,
    "{count} mask{s} without an image: {first}",
    "Add the image{s}, remove the mask{s}, or say how masks are named: --data-args rule={{stem}}_mask.png",
    left_out,
)
