"""Images of another size than their annotations tell: the width and height in a JSON file, or a PNG of segments beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.images import LABEL_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["annotated_sizes"]

OUTLINES = (
    "Where the outlines fit the image, correct its size in the annotations; else put back the image that was annotated, "
    "or export anew"
)
PICTURES = "Export the labels at the size of their images; resizing them needs nearest neighbour"
TURNED = ". EXIF turns some: strip their orientation, or annotate them as they are shown"


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.facts if one.label is None and one.truth and one.image and one.image.size not in ((), one.truth)]
    sizes = [(one.image.size[::-1], one.truth[::-1], one.image.orientation > 4) for one in some if one.image]
    turned = any(exif and size == told[::-1] for size, told, exif in sizes)
    shown = ["x".join(map(str, size)) for size in sizes[0][:2]] if some else ["", ""]
    pictures = any(one.record.label and one.record.label.suffix.lower() in LABEL_SUFFIXES for one in some)
    return some, {"image": shown[0], "told": shown[1], "remedy": (PICTURES if pictures else OUTLINES) + TURNED * turned}


annotated_sizes = Check(  # not mended: nothing tells whether the size was written wrong or the outlines are of another image
    "error",
    _cases,
    "{count} image{s} of another size than the annotations tell: {first} is {image}, annotated as {told}",
    "{remedy}",
    of_images=True,
)
