"""Classes that were told by the values of the masks, because no class file names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["guessed_classes"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return survey.facts[:1] if survey.notes and survey.format == "mask_folder" else (), {"told": " ".join(survey.notes)}


guessed_classes = Check("note", _cases, "{told}", "Right if that is what they mean")
