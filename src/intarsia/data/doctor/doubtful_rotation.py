"""Images that EXIF turns or mirrors without a change of size, so that nothing tells how their masks lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["doubtful_rotation"]

AS_STORED = ("geotiff", "tiff_stack")
"""Formats whose readers do not turn."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    turns = survey.format not in AS_STORED
    return [one for one in survey.facts if turns and (one.record.label or one.areas) and _doubtful(one)], {}


def _doubtful(one: Facts) -> bool:
    """Whether the image, but not its label, is turned, and has the same size before and after."""
    if one.image is None or one.image.orientation in (1, one.label.orientation if one.label else 1):
        return False
    return one.image.orientation <= 4 or one.image.size == one.image.size[::-1]


doubtful_rotation = Check(
    "warning",
    _cases,
    "{count} image{s} that EXIF turns or mirrors to the same size, so that nothing tells whether the mask is turned too: {first}",
    "Look at {count:it|them}: --sheet findings.png. Where a mask is not turned, strip the EXIF orientation from its image",
    of_images=True,
)
