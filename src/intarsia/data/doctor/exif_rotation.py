"""Images that EXIF turns, while their masks lie as the camera's sensor did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from intarsia.data.doctor._finding import Check, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["exif_rotation"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [one for one in survey.pairs if turned(one)], {}


def turned(one: Facts) -> bool:
    """Whether the mask has the size of the image before it is turned, and another one after."""
    assert one.image is not None
    assert one.label is not None
    return one.image.orientation > 4 and one.label.size == one.image.size[::-1] and one.label.size != one.image.size


def _mend(part: Part, survey: Survey) -> None:
    """The image becomes what the file stores, without EXIF, and so lies as its mask."""
    assert part.facts.record.image is not None
    with Image.open(part.facts.record.image) as picture:
        pixels = np.array(picture.convert("RGB") if picture.mode == "CMYK" else picture)
    part.image = pixels[..., None] if pixels.ndim == 2 else pixels  # (H, W) -> (H, W, 1)


exif_rotation = Check(
    "error",
    _cases,
    "{count} image{s} that EXIF turns while the mask is not: {first}",
    "Strip the EXIF orientation from the image{s}, or turn the mask{s} with it.",
    _mend,
    of_images=True,
)
