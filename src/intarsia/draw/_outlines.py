"""The edges of segments as thin lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.draw._colours import lifted, top_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["line_colours", "outline"]

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def line_colours(table: NDArray[np.uint8], segments: Segments, classes: ClassSet) -> NDArray[np.uint8]:
    """(N + 2, 3) the colours of `row_colours` for lines: of things such as can be seen."""
    lines = table.copy()
    things = np.flatnonzero(classes.is_thing[segments.classes])
    lines[things] = lifted(table[things])
    return lines


def outline(picture: NDArray[np.uint8], segments: Segments, lines: NDArray[np.uint8]) -> None:
    """Draws into the picture the edge of each segment, where it touches nothing, void or an earlier row, on the side of the later.

    Of segments that others hide the edge is drawn as well.
    """
    rows = top_rows(segments)
    seen = np.where(rows == len(segments), -1, rows)
    layers = [layer.astype(seen.dtype) - 1 for layer in segments.ids] if len(segments.ids) > 1 else []
    for layer in (*layers, seen):
        edges = _edges(layer)
        picture[edges] = lines[layer[edges]]


def _edges(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """(H, W) the pixels that touch an earlier row, nothing or void (below 0): on the nearer segment, wider in large pictures."""
    order: NDArray[Any] = rows.astype(np.int16 if rows.max(initial=0) < 1 << 15 else np.float32)  # what cv2 erodes
    width = max(1, round(max(rows.shape) / 1000))
    edges: NDArray[Any] = cv2.erode(order, CROSS, iterations=width) < order
    return edges
