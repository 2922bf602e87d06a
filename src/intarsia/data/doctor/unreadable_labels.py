"""Labels that cannot be understood, for a reason that no other check knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import PairingError
from intarsia.data.doctor._facts import COLOURED
from intarsia.data.doctor._finding import Check, left_out
from intarsia.data.doctor._ids import strangers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["unreadable_labels"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [
        one for one in survey.facts if one.problem and not isinstance(one.problem, PairingError) and not _explained(one, survey)
    ]
    return some, {"what": str(some[0].problem) if some else ""}


def _explained(one: Facts, survey: Survey) -> bool:
    """Whether the values or the size of the file say what is wrong with it."""
    label = one.label
    if label is None:
        return False
    resized = one.image is not None and label.size != one.image.size
    return bool(label.lossy or ((resized or label.mode in COLOURED) and not survey.colours) or strangers(one, survey))


unreadable_labels = Check(
    "error",
    _cases,
    "{count} label{s} cannot be understood: {what}",
    "As the message says",
    left_out,
)
