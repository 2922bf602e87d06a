"""Classes that are scored on but never trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import few
from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["untrained_classes"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    seen: dict[str, set[int]] = {}
    for one in survey.facts:
        seen.setdefault(one.record.split, set()).update(index for index, pixels in one.areas if pixels)
    unread = any(one.unread for one in survey.facts)
    if survey.classes is None or not seen.get("train") or unread:  # what cannot be read may show them
        return [], {}
    lost = set().union(*(seen.get(split, ()) for split in ("val", "test"))) - seen["train"]
    names = [survey.classes.names[index] for index in sorted(lost)]
    some = [one for one in survey.facts if one.record.split in ("val", "test") and any(index in lost for index, _ in one.areas)]
    return some, {"classes": len(lost), "names": few(names, 8)}


untrained_classes = Check(
    "warning",
    _cases,
    "{classes} of the classes {classes:is|are} in no training image, but in {count} of val or test: {names}",
    "No network can score on {classes:it|them}: move some of these images to the training ones, or split anew, by class: "
    "intarsia split DATA",
)
