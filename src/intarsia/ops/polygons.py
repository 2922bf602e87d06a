"""Polygons: the outlines of a mask, and masks of outlines, on whole pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["filled", "outlines"]


def filled(polygons: Sequence[ArrayLike], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) the pixels within an odd number of the polygons, each (K, 2) x, y of pixels, and those on their edges.

    >>> filled([[(0, 0), (2, 0), (2, 1), (0, 1)]], (2, 4)).astype(int).tolist()
    [[1, 1, 1, 0], [1, 1, 1, 0]]
    """
    mask = np.zeros(size, np.uint8)
    corners = [np.asarray(polygon).astype(np.int32).reshape(-1, 1, 2) for polygon in polygons]
    if corners:
        cv2.fillPoly(mask, corners, 1)
    return mask.view(np.bool_)


def outlines(mask: NDArray[Any]) -> list[NDArray[np.int32]]:
    """Polygons (K, 2), x, y of pixels of the mask (H, W): the border of each part, and around each hole the pixels that ring it.

    `filled` gives the mask back, unless an edge crosses a hole or a hole's ring runs through it.

    >>> [outline.tolist() for outline in outlines(np.array([[1, 1, 0]]))]
    [[[0, 0], [1, 0]]]
    """
    found, _ = cv2.findContours((mask != 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [contour[:, 0].astype(np.int32) for contour in found]  # (K, 1, 2) -> (K, 2)
