"""Objects numbered in 8 bits that are more than 255."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["many_objects"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if not survey.objects:
        return [], {}
    return [one for one in survey.pairs if one.label and one.label.dtype == "uint8" and _overflows(one)], {}


def _overflows(one: Facts) -> bool:
    """Whether the highest number is there, and most numbers stand for several objects apart."""
    assert one.label is not None
    parts = one.label.parts
    return max(parts, default=0) >= 254 and sum(count > 1 for count in parts.values()) > len(parts) / 4


many_objects = Check(
    "error",
    _cases,
    "{count} mask{s} of 8 bits whose numbers have run over, so that several objects share one: {first}",
    "Write the numbers as 16 bit PNG; what was lost in 8 bits is not in the file any more",
)
