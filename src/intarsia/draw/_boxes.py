"""Boxes of objects, and as many of their names as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from intarsia.draw._panels import font

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

    Rectangle = tuple[float, float, float, float]

__all__ = ["boxed"]

CROWD = 40
"""Objects above which names would hide what they name."""


def boxed(
    picture: NDArray[np.uint8], segments: Segments, rows: NDArray[np.intp], classes: ClassSet, colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The picture with the boxes of `rows` in their `colours` (N, 3), and their names, with scores that are not 1.

    Up to 40 objects are named, the surest first, then the largest; a name that finds no place beside those before is left out.
    """
    height, width = picture.shape[:2]
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    scale = width / segments.size[-1]
    boxes = segments.boxes[rows] * scale  # (M, 4)
    line = max(1, round(max(height, width) / 700))
    for row, (left, top, right, bottom) in zip(rows.tolist(), boxes.tolist(), strict=True):
        corners = (left, top, max(left, right - 1), max(top, bottom - 1))
        pen.rectangle(corners, outline=tuple(colours[row].tolist()), width=line)
    if len(rows) > CROWD:
        return np.array(page)
    size = min(24, max(11, round(max(height, width) / 80)))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    taken: list[Rectangle] = []
    for place in np.lexsort((-areas, -segments.scores[rows])).tolist():
        row = int(rows[place])
        text = _name(segments, row, classes)
        room = _room(boxes[place].tolist(), font(size).getlength(text) + 5, size + 4, (width, height), taken)
        if room is None:
            continue
        taken.append(room)
        colour = tuple(colours[row].tolist())
        ink = (0, 0, 0) if np.dot(colour, (0.3, 0.59, 0.11)) > 130 else (255, 255, 255)
        pen.rectangle(room, fill=colour)
        pen.text((room[0] + 3, (room[1] + room[3]) / 2), text, fill=ink, font=font(size), anchor="lm")
    return np.array(page)


def _name(segments: Segments, row: int, classes: ClassSet) -> str:
    """What is written beside a box."""
    name, score = classes.names[segments.classes[row]], float(segments.scores[row])
    return f"{name} (crowd)" if segments.crowd[row] else name if score == 1 else f"{name} {score:.2f}"


def _room(box: Sequence[float], width: float, height: float, page: tuple[int, int], taken: Sequence[Rectangle]) -> Rectangle | None:
    """Where a name goes: above its box, below, at the other corner above, within, if that hides little; None where all is taken."""
    left, top, right, bottom = box
    inner = [(left, top)] if (right - left) * (bottom - top) > 6 * width * height else []
    for x, y in ((left, top - height), (left, bottom), (right - width, top - height), *inner):
        x, y = min(max(x, 0), page[0] - width), min(max(y, 0), page[1] - height)
        room = (x, y, x + width - 1, y + height - 1)
        if not any(x <= other[2] and other[0] <= room[2] and y <= other[3] and other[1] <= room[3] for other in taken):
            return room
    return None
