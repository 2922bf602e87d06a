"""Void where the objects should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._ids import binary_255

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["much_void"]

MOST = 0.5
"""The share of void among all pixels from which on it is doubtful that nobody wants them."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.coding is None or binary_255(survey):
        return [], {}
    void, counts = set(survey.coding.void), survey.counts
    share = sum(count for value, count in counts.items() if value in void) / max(1, sum(counts.values()))
    some = [one for one in survey.pairs if one.label and void & one.label.counts.keys()]
    return some if share > MOST else [], {
        "share": f"{share:.0%}",
        "ids": ", ".join(str(value) for value in sorted(void & counts.keys())),
    }


much_void = Check(
    "warning",
    _cases,
    "{share} of all pixels are void (id {ids}), and so neither trained nor scored",
    "If that id is a class, say so in the class file",
)
