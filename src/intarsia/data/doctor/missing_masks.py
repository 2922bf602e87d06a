"""Images without a mask beside others of their split that have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, left_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["missing_masks"]

RULE = "; or say how masks are named: --data-args rule={stem}_mask.png"


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    seen = [one for one in survey.facts if one.image and not one.image.error]
    labelled = {one.record.split for one in seen if one.record.label or one.truth}
    some = [one for one in seen if not one.record.label and not one.truth and one.record.split in labelled]
    return some, {"rule": RULE if survey.format == "mask_folder" else ""}


missing_masks = Check(
    "error",
    _cases,
    "{count} image{s} without a mask: {first}",
    "Add the mask{s}, or remove the image{s}{rule}",
    left_out,
)
