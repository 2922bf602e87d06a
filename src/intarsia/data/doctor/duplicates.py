"""The same image more than once in a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, left_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["duplicates"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    again = []
    for group in same(survey):
        first: dict[str, Facts] = {}
        for one in sorted(group, key=lambda one: one.record.key):
            if (other := first.setdefault(one.record.split, one)) is not one:
                again.append((one, other))
    return [one for one, _ in again], {"others": [other for _, other in again]}


def same(survey: Survey) -> list[list[Facts]]:
    """The groups of images that are equal pixel by pixel."""
    groups: dict[bytes, list[Facts]] = {}
    for one in survey.facts:
        if one.image and one.image.digest:
            groups.setdefault(one.image.digest, []).append(one)
    return [group for group in groups.values() if len(group) > 1]


duplicates = Check(
    "warning",
    _cases,
    "{count} image{s} that {count:is|are} there already, pixel by pixel: {first}",
    "Remove {count:it: it weighs|them: they weigh} double and {count:makes|make} scores look surer than they are",
    left_out,
    of_images=True,
)
