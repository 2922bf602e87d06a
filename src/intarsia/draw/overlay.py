"""The segments laid over their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.draw._boxes import boxed
from intarsia.draw._colours import VOID, By, flat, row_colours, top_rows
from intarsia.draw._outlines import line_colours, outline
from intarsia.draw._panels import enlarged, stacked
from intarsia.draw.as_rgb import as_rgb
from intarsia.draw.legend import counted
from intarsia.draw.legend import legend as legend_strip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["overlay"]

LEGIBLE = 480
"""Pixels across that a picture with text has at least."""


def overlay(
    image: NDArray[Any],
    segments: Segments,
    classes: ClassSet,
    *,
    alpha: float = 0.5,
    by: By = "object",
    outlines: bool = True,
    boxes: bool = False,
    legend: bool = False,
    counts: bool | None = None,
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: `alpha` parts colour of the segment on 1 - alpha parts image; void is black, nothing is left as it is.

    Objects of a class get related colours, neighbours such as can be told apart, `by="class"` one. `outlines` draws the edge of
    each segment, of hidden ones too where they overlap; between neighbours it is that of the later row. `boxes` draws the box of
    each thing, and its name and score where there is room. With `legend` the picture is enlarged to at least 480 pixels across and
    the names of the classes that are there are put below, of things with their number where `counts` says so; left out, where a
    class has several. A volume shows its middle slice.
    Raises InvalidNoun where image and segments differ in size, OptionError for alpha outside 0..1.

    >>> from intarsia.core import ClassSet, Segments
    >>> white = np.full((1, 3, 3), 255, np.uint8)
    >>> overlay(white, Segments([[[1, 0, -1]]], [0]), ClassSet(("road",), ((128, 64, 128),)), outlines=False)[0].tolist()
    [[192, 160, 192], [255, 255, 255], [0, 0, 0]]
    """
    if not 0 <= alpha <= 1:
        raise OptionError("alpha", expected="0 to 1", received=alpha)
    segments, base = flat(segments), as_rgb(image)
    if base.shape[:2] != segments.size:
        raise InvalidNoun("segments", expected=f"the image's size {base.shape[:2]}", received=segments.size)
    rows = top_rows(segments)  # (H, W)
    table = row_colours(segments, classes, by)
    colour = table.take(rows, axis=0, mode="wrap")  # (H, W, 3)
    picture: NDArray[Any] = cv2.addWeighted(colour, alpha, base, 1 - alpha, 0)
    void, bare = rows == -1, rows == len(segments)
    if bare.any():
        np.copyto(picture, base, where=bare[..., None])
    lines = line_colours(table, segments, classes)
    if outlines:
        outline(picture, segments, lines)
    picture[void] = VOID
    if legend:
        picture = enlarged(picture, LEGIBLE)
    shown = np.unique(segments.ids)
    shown = shown[shown > 0] - 1  # the rows with pixels
    if boxes:
        picture = boxed(picture, segments, shown[classes.is_thing[segments.classes[shown]]], classes, lines)
    if not legend:
        return picture
    present, number = np.unique(segments.classes[shown], return_counts=True)
    notes = counted(segments.select(shown), classes) if counts or (counts is None and number.max(initial=0) > 1) else {}
    strip = legend_strip(classes, present.tolist(), width=picture.shape[1], void=bool(void.any()), notes=notes)
    return stacked([picture, strip])
