"""Objects of which the masks hold one pixel or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._objects import some_objects, tells_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["lost_objects"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if not tells_apart(survey):
        return [], {}
    some, told = some_objects(survey, lambda told: told.lost)
    return some, told | {"empty": sum(one.objects.empty for one in some if one.objects)}


lost_objects = Check(  # not mended: a point may be all that was meant
    "warning",
    _cases,
    "{objects} {objects:object has|objects have} one pixel or none ({empty} none), in {count} image{s}: {name} in {first}",
    "Remove {objects:it|them}, or draw {objects:it|them} anew: nothing can be learnt of outlines too narrow for a pixel or beyond "
    "the image, or of objects that others cover",
    of_images=True,
)
