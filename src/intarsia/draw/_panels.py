"""Setting pictures side by side: enlarging, titles, rows, columns, strips of swatches."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["beside", "enlarged", "fitted", "font", "framed", "stacked", "swatches", "text_width", "titled"]

PAPER, INK, FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)
GAP = 8


@lru_cache
def font(size: int) -> Any:
    """Pillow's own typeface, so that a picture is the same on every machine."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> int:
    """Pixels that a line takes."""
    return int(np.ceil(font(size).getlength(text)))


def enlarged(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """At least `width` across, by the least whole factor, so that each pixel stays a square."""
    factor = -(-width // picture.shape[1])
    return picture if factor <= 1 else picture.repeat(factor, axis=0).repeat(factor, axis=1)  # (H, W, 3) -> (kH, kW, 3)


def fitted(picture: NDArray[np.uint8], low: int = 320, high: int = 640) -> NDArray[np.uint8]:
    """Enlarged to at least `low` across and, without mixing colours, reduced to at most `high`."""
    height, width = picture.shape[:2]
    if width <= high:
        return enlarged(picture, low)
    size = (high, max(1, round(height * high / width)))
    reduced: NDArray[Any] = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)  # (H, W, 3) -> (H', high, 3)
    return reduced


def titled(picture: NDArray[np.uint8], title: str, size: int = 15) -> NDArray[np.uint8]:
    """With a line of text above, cut with an ellipsis where it is too long."""
    width = picture.shape[1]
    while title and text_width(title, size) > width - 4:
        title = title.rstrip("…")[:-1].rstrip() + "…"
        if title == "…":
            break
    bar = Image.new("RGB", (width, size + 9), PAPER)
    ImageDraw.Draw(bar).text((2, (size + 9) // 2), title, fill=INK, font=font(size), anchor="lm")
    return np.concatenate([np.asarray(bar), picture])  # (H, W, 3) -> (H + bar, W, 3)


def beside(pictures: Sequence[NDArray[np.uint8]], gap: int = GAP) -> NDArray[np.uint8]:
    """From left to right on white, tops aligned."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1)
    page: NDArray[np.uint8] = np.full((height, width, 3), PAPER, np.uint8)
    left = 0
    for picture in pictures:
        page[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return page


def framed(page: NDArray[np.uint8], margin: int = 10) -> NDArray[np.uint8]:
    """With a white margin all around."""
    return np.pad(page, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)


def stacked(pictures: Sequence[NDArray[np.uint8]], gap: int = 0) -> NDArray[np.uint8]:
    """From top to bottom on white, left edges aligned."""
    return np.ascontiguousarray(beside([picture.swapaxes(0, 1) for picture in pictures], gap).swapaxes(0, 1))


def swatches(entries: Sequence[tuple[tuple[int, ...], str]], width: int, size: int = 13) -> NDArray[np.uint8]:
    """(H, width, 3) a strip of colours with their names, in as many columns as the longest name allows."""
    box, line = size + 1, size + 8
    column = min(width, max((text_width(text, size) for _, text in entries), default=0) + box + 20)
    columns = max(1, width // column)
    column = width // columns
    lines = -(-len(entries) // columns)
    strip = Image.new("RGB", (width, lines * line + 8 if entries else 1), PAPER)
    pen = ImageDraw.Draw(strip)
    for number, (colour, text) in enumerate(entries):
        left, top = number % columns * column + 4, number // columns * line + 6
        pen.rectangle((left, top, left + box, top + box), fill=tuple(colour), outline=FAINT)
        pen.text((left + box + 7, top + box // 2 + 1), text, fill=INK, font=font(size), anchor="lm")
    return np.array(strip)
