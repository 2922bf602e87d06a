"""Masks of another size than their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2

from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor.exif_rotation import turned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["differing_sizes"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.pairs if one.image and one.label and one.image.size != one.label.size and not turned(one)]
    if not some:
        return [], {}
    sizes = [(one.label.size[::-1], one.image.size[::-1]) for one in some[:1] if one.image and one.label]
    return some, {"mask": "x".join(map(str, sizes[0][0])), "image": "x".join(map(str, sizes[0][1]))}


def _mend(part: Part, survey: Survey) -> None:
    """The mask is brought to the size of the image, nearest neighbour, where both have one shape; else the pair is left out."""
    if part.labels is None:
        return
    height, width = part.image.shape[:2]
    if abs(height * part.labels.shape[1] - width * part.labels.shape[0]) > max(height, width):
        part.kept = False
        return
    part.labels = cv2.resize(part.labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


differing_sizes = Check(
    "error",
    _cases,
    "{count} mask{s} of another size than the image: {first} is {mask}, its image {image}",
    "Export the masks at the size of their images; resizing them needs nearest neighbour.",
    _mend,
)
