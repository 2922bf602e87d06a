"""Look first: what a data set really holds, before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from intarsia.core import ClassSet
from intarsia.draw._colours import NOTHING, VOID, flat, painted, row_colours, top_rows
from intarsia.draw._panels import beside, fitted, font, framed, stacked, titled
from intarsia.draw.as_rgb import as_rgb
from intarsia.draw.legend import counted, legend
from intarsia.draw.overlay import overlay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.core import Sample, Segments

__all__ = ["look", "batch_sheet", "sheet"]  # noqa: RUF022  the first is the member

NUMBERED = 60
"""Segments whose number is written into the raw ids: the largest."""


def look(
    image: NDArray[Any], segments: Segments | None, classes: ClassSet, *, title: str = "", stored: bool = False
) -> NDArray[np.uint8]:
    """(H', W', 3) image | label | overlay | raw ids, and below each class that is there with its share of the pixels.

    The raw ids are those of `segments.ids`, its top layer: each segment in a colour of its own, with its number, or, where class
    indices are `stored` in the file as ids, with that. A volume shows its middle slice. Without segments there is the image alone.
    """
    facts = f"image {'x'.join(map(str, image.shape))} {image.dtype}, values {image.min():g}..{image.max():g}"
    shown = as_rgb(image)
    if segments is None:
        page = titled(fitted(shown), facts)
        return framed(titled(page, title, 19) if title else page)
    segments = flat(segments)
    panels = {
        facts: shown,
        f"label: {len(segments)} segments": painted(segments, row_colours(segments, classes)),
        "overlay": overlay(shown, segments, classes),
    }
    values = segments.classes if stored and len(segments) else segments.ids
    ids = f"ids {'x'.join(map(str, segments.ids.shape))} {segments.ids.dtype}, {values.min()}..{values.max()}"
    numbers = segments.classes if stored else np.arange(1, len(segments) + 1)
    page = beside([*(titled(fitted(panel), name) for name, panel in panels.items()), titled(_numbered(segments, numbers), ids)])
    page = stacked([page, _shares(segments, classes, page.shape[1])], gap=4)
    return framed(titled(page, title, 19) if title else page)


def sheet(samples: Sequence[Sample], classes: ClassSet | None = None, *, stored: bool = False) -> NDArray[np.uint8]:
    """(H', W', 3) `look` at each sample, one below the other; without `classes` each has its own."""
    shown = [(sample, classes or sample.classes or ClassSet(("?",))) for sample in samples]
    return stacked([look(sample.image, sample.segments, own, title=sample.key, stored=stored) for sample, own in shown])


def batch_sheet(samples: Sequence[Sample], classes: ClassSet, *, columns: int = 4) -> NDArray[np.uint8]:
    """(H', W', 3) a training batch as the network gets it: each augmented image above its overlay, and one legend for all."""
    cells, seen = [], {-2}
    for sample in samples:
        parts = [fitted(as_rgb(sample.image), high=480)]
        if sample.segments is not None:
            segments = flat(sample.segments)
            seen.update(np.unique(segments.semantic(len(classes))).tolist())
            parts.append(fitted(overlay(sample.image, segments, classes), high=480))
        cells.append(titled(stacked(parts, gap=2), sample.key))
    page = stacked([beside(cells[start : start + columns]) for start in range(0, len(cells), columns)], gap=10)
    present = sorted(index for index in seen if 0 <= index < len(classes))
    strip = legend(classes, present, width=page.shape[1], void=-1 in seen, nothing=len(classes) in seen)
    return framed(stacked([page, strip], gap=4))


def _shares(segments: Segments, classes: ClassSet, width: int) -> NDArray[np.uint8]:
    """The classes that are there, the largest first: name, number of things where there are several, share of all pixels, index."""
    counts = np.bincount(segments.semantic(len(classes)).ravel() + np.int32(1), minlength=len(classes) + 2)
    share = counts / counts.sum()
    order = [index for index in np.argsort(-counts[1:-1], kind="stable").tolist() if counts[index + 1]]
    numbers = counted(segments.compact(), classes)
    several = any(number != "1" for number in numbers.values())
    notes = {
        index: (f"{numbers[index]}, " if several and index in numbers else "")
        + f"{share[index + 1]:.1%}"
        + (f"  (class {index})" if classes.names[index] != str(index) else "")
        for index in order
    }
    notes |= {-1: f"{share[0]:.1%}", len(classes): f"{share[-1]:.1%}"}
    return legend(classes, order, width=width, void=bool(counts[0]), nothing=bool(counts[-1]), notes=notes)


def _numbered(segments: Segments, numbers: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """The rows seen, each in its own colour, with its number (N,) written at its innermost pixel; void black."""
    rows = top_rows(segments)  # (H, W)
    count = len(segments)
    table: NDArray[np.uint8] = np.zeros((count + 2, 3), np.uint8)
    hues = (np.arange(count) * 0.618034 % 1 * 180).astype(np.uint8)
    if count:
        hsv = np.stack([hues, np.full_like(hues, 110), np.full_like(hues, 215)], axis=-1)  # (N, 3)
        table[:count] = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    table[-2:] = NOTHING, VOID
    picture = fitted(table.take(rows, axis=0, mode="wrap"))
    scale = picture.shape[1] / rows.shape[1]
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    for row in np.argsort(-segments.areas, kind="stable")[:NUMBERED].tolist():
        inner = cv2.distanceTransform(np.pad(rows == row, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = np.unravel_index(int(inner.argmax()), inner.shape)
        if inner[y, x] * scale > 5:
            place = (float(x) + 0.5) * scale, (float(y) + 0.5) * scale
            letters = font(min(22, max(11, int(inner[y, x] * scale))))
            pen.text(place, str(numbers[row]), fill=(0, 0, 0), font=letters, anchor="mm")
    return np.array(page)
