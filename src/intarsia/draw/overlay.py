"""The segments laid over their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.draw._colours import VOID, By, flat, row_colours, top_rows
from intarsia.draw._panels import enlarged, font, stacked
from intarsia.draw.as_rgb import as_rgb
from intarsia.draw.legend import legend as legend_strip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["overlay"]

LEGIBLE = 480
"""Pixels across that a picture with text has at least."""
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


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
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: `alpha` parts colour of the segment on 1 - alpha parts image; void is black, nothing is left as it is.

    Objects of a class get related colours, `by="class"` one. `outlines` draws each segment's edge towards earlier rows in full
    colour, `boxes` the box and name of each thing. With `legend` the picture is enlarged to at least 480 pixels across and the
    names of the classes that are seen are put below. A volume shows its middle slice.
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
    if outlines:
        np.copyto(picture, colour, where=_edges(rows, bare)[..., None])
    if bare.any():
        np.copyto(picture, base, where=bare[..., None])
    picture[void] = VOID
    if legend:
        picture = enlarged(picture, LEGIBLE)
    if boxes:
        picture = _boxed(picture, segments, classes, table, picture.shape[1] / rows.shape[1])
    if not legend:
        return picture
    present = np.unique(segments.classes[np.unique(rows[~(void | bare)])])
    return stacked([picture, legend_strip(classes, present.tolist(), width=picture.shape[1], void=bool(void.any()))])


def _edges(rows: NDArray[Any], bare: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) the pixels that touch an earlier row, nothing or void: one pixel wide, on the nearer segment."""
    order: NDArray[Any] = rows.astype(np.int16 if rows.dtype == np.int8 else np.float32)  # what cv2 erodes
    order[bare] = -1
    edges: NDArray[Any] = cv2.erode(order, CROSS) < order
    return edges


def _boxed(
    picture: NDArray[np.uint8], segments: Segments, classes: ClassSet, table: NDArray[np.uint8], scale: float
) -> NDArray[np.uint8]:
    """The boxes of the things, with their names, and their scores where these are not 1."""
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    things = classes.is_thing[segments.classes] & (segments.areas > 0)
    boxes = segments.boxes * scale
    for row in np.flatnonzero(things).tolist():
        left, top, right, bottom = boxes[row].tolist()
        colour, name, score = tuple(table[row].tolist()), classes.names[segments.classes[row]], float(segments.scores[row])
        text = name if score == 1 else f"{name} {score:.2f}"
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=max(1, round(scale / 2)))
        anchor = "lb" if top > 14 else "lt"
        tag = pen.textbbox((left + 2, top), text, font=font(11), anchor=anchor)
        pen.rectangle((tag[0] - 2, tag[1] - 1, tag[2] + 1, tag[3] + 1), fill=colour)
        light = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 130
        pen.text(
            (left + 2, top), text, fill=(0, 0, 0) if light else (255, 255, 255), font=font(11), anchor="lb" if top > 14 else "lt"
        )
    return np.array(page)
