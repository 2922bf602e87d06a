"""Boxes in the file that do not fit the masks beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._objects import some_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["boxes_astray"]

CAUSES = {
    "corners": "They look like corners: write x, y, width, height in place of x0, y0, x1, y1",
    "centre": "They look like those with their centre first: write x, y of the upper left corner",
    "scale": "They fit an image {across:.3g} times as wide and {down:.3g} times as high: scale them as the image was",
}
ELSE = "Compute them anew from the masks, and look whether these lie on the objects"
NOTE = ". Intarsia itself trains on the masks"


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some, told = some_objects(survey, lambda told: told.astray)
    causes = [one.objects.misfit for one in some if one.objects]
    first = next((one for one in causes if one.cause), None)
    same = first is not None and 2 * sum(one.cause == first.cause for one in causes) > len(causes)
    remedy = CAUSES[first.cause].format(**first._asdict()) if first is not None and same else ELSE
    return some, told | {"remedy": remedy + NOTE}


boxes_astray = Check(
    "warning",
    _cases,
    "{objects} {objects:box|boxes} in the file, of {count} image{s}, {objects:covers|cover} less than half of what the mask{s} "
    "{objects:takes|take}: that of {name} in {first}",
    "{remedy}",
    of_images=True,
)
