"""Labels on another grid than their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import PairingError
from intarsia.data.doctor._finding import Check, left_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["differing_grids"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.facts if isinstance(one.problem, PairingError) and survey.format != "mask_folder"]
    return some, {"what": str(some[0].problem) if some else ""}


differing_grids = Check(
    "error",
    _cases,
    "{count} label{s} on another grid than the image: {what}",
    "Resample the label to the grid of its image, nearest neighbour",
    left_out,
)
