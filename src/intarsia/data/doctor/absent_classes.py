"""Classes of the list that no image shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import few
from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._ids import binary_255

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["absent_classes"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    seen = {index for one in survey.facts for index, pixels in one.areas if pixels}
    unread = any(one.unread for one in survey.facts)  # these may show them
    if survey.classes is None or not seen or unread or binary_255(survey):
        return [], {}
    absent = [name for index, name in enumerate(survey.classes.names) if index not in seen]
    return list(survey.facts[:1]) if absent else [], {"classes": len(absent), "names": few(absent, 8)}


absent_classes = Check(
    "warning",
    _cases,
    "{classes} of the classes {classes:occurs|occur} in no image: {names}",
    "Nothing can be learnt of {classes:it: take it|them: take them} from the class list, or add images",
)
