"""Images that EXIF turns, while their masks lie as the camera's sensor did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["exif_rotation"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return [one for one in survey.pairs if turned(one)], {}


def turned(one: Facts) -> bool:
    """Whether the mask, not turned itself, has the size of the image before it is turned, and another one after."""
    assert one.image is not None
    assert one.label is not None
    if one.image.orientation <= 4 or one.label.orientation != 1:
        return False
    return one.label.size == one.image.size[::-1] and one.label.size != one.image.size


def _mend(part: Part, survey: Survey) -> None:
    """The image is turned back to how the file stores it, and so lies as its mask."""
    assert part.facts.image is not None
    part.image = np.ascontiguousarray(_as_stored(part.image, part.facts.image.orientation))


def _as_stored(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, C) before an orientation of 5 to 8 turned it."""
    if orientation in (5, 7):  # mirrored at a diagonal
        return np.rot90(image.swapaxes(0, 1), 2 * (orientation == 7))
    return np.rot90(image, 1 if orientation == 6 else -1)


exif_rotation = Check(
    "error",
    _cases,
    "{count} image{s} that EXIF turns while the mask is not: {first}",
    "Strip the EXIF orientation from the image{s}, or turn the mask{s} with it.",
    _mend,
    of_images=True,
)
