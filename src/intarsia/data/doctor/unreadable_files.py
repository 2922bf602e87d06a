"""Images and labels that are corrupt, truncated, or no picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, left_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["unreadable_files"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.facts if (one.image and one.image.error) or (one.label and one.label.error)]
    what = next((part.error for one in some for part in (one.image, one.label) if part and part.error), "")
    both = [one.record.key for one in some if one.image and one.image.error and one.label and one.label.error]
    return some, {"what": what, "both": f", and the label of {both[0]} beside its image" if both else ""}


unreadable_files = Check(
    "error",
    _cases,
    "{count} file{s} cannot be read to the end, first {first}{both}: {what}",
    "Copy {count:it anew from its|them anew from their} source, or remove both image and label.",
    left_out,
)
