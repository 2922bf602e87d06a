"""Image, truth, prediction and where they differ, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.draw._colours import VOID, flat, painted
from intarsia.draw._panels import beside, fitted, framed, stacked, titled
from intarsia.draw.as_rgb import as_rgb
from intarsia.draw.legend import legend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["comparison", "error_map"]

WRONG = (255, 45, 85)


def comparison(
    image: NDArray[Any], truth: Segments, prediction: Segments, classes: ClassSet, *, title: str = ""
) -> NDArray[np.uint8]:
    """(H', W', 3) image | truth | prediction | error with titles and a legend; void is black, panels are 320 to 640 pixels across.

    The error panel is that of `error_map`, its title the share of labelled pixels whose class is wrong. A volume shows its middle
    slice. Raises InvalidNoun where sizes differ.
    """
    truth, prediction, base = flat(truth), flat(prediction), as_rgb(image)
    wrong, void = _wrong(base, truth, prediction, len(classes))
    share = wrong.sum() / max(1, (~void).sum())
    panels = {
        "image": base,
        "truth": painted(truth, classes),
        "prediction": painted(prediction, classes),
        f"error: {share:.1%} of the labelled pixels": error_map(base, truth, prediction, classes),
    }
    page = beside([titled(fitted(panel), name) for name, panel in panels.items()])
    present = np.union1d(truth.semantic(len(classes)), prediction.semantic(len(classes)))
    inside = present[(present >= 0) & (present < len(classes))].tolist()
    strip = legend(classes, inside, width=page.shape[1], void=bool(void.any()), nothing=len(classes) in present)
    page = stacked([page, strip], gap=4)
    return framed(titled(page, title, 19) if title else page)


def error_map(image: NDArray[Any], truth: Segments, prediction: Segments, classes: ClassSet) -> NDArray[np.uint8]:
    """(H, W, 3) red where the class predicted is not the true one, the image in faint grey where it is, black where truth is void.

    Classes are compared, not objects. Raises InvalidNoun where sizes differ.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = Segments([[[1, 1, -1]]], [0]), Segments([[[1, 2, 2]]], [0, 1])
    >>> error_map(np.zeros((1, 3, 1), np.uint8), truth, guess, ClassSet(("sky", "road")))[0].tolist()
    [[105, 105, 105], [255, 45, 85], [0, 0, 0]]
    """
    truth, prediction, base = flat(truth), flat(prediction), as_rgb(image)
    wrong, void = _wrong(base, truth, prediction, len(classes))
    grey = cv2.cvtColor(base, cv2.COLOR_RGB2GRAY) // 4 + np.uint8(105)  # (H, W, 3) -> (H, W), dimmed to 105..168
    picture: NDArray[np.uint8] = np.repeat(grey[..., None], 3, axis=-1)  # (H, W) -> (H, W, 3)
    picture[wrong] = WRONG
    picture[void] = VOID
    return picture


def _wrong(
    base: NDArray[np.uint8], truth: Segments, prediction: Segments, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(H, W) where the classes differ, and where truth is void, which is never wrong."""
    for name, size in (("truth", truth.size), ("prediction", prediction.size)):
        if size != base.shape[:2]:
            raise InvalidNoun(name, expected=f"the image's size {base.shape[:2]}", received=size)
    void = truth.void
    return (truth.semantic(count) != prediction.semantic(count)) & ~void, void
