"""Boxes as COCO takes them: continuous, from edge to edge, so that an extent is the difference of two edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["box_extents", "boxes_in_pixels", "shared_extents"]


def box_extents(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) the areas, or volumes, of boxes (N, 2d): low edges first, then high ones, in any unit.

    >>> box_extents(np.array([[0, 0, 2, 1.5]])).tolist()
    [3.0]
    """
    low, high = np.split(boxes.astype(np.float64), 2, axis=1)  # (N, d) each
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=1))


def boxes_in_pixels(shares: NDArray[np.floating], size: tuple[int, ...]) -> NDArray[np.floating]:
    """Boxes (N, 4) in shares of an image (H, W), cut at its edges, in pixels.

    >>> boxes_in_pixels(np.array([[-0.5, 0.0, 0.5, 1.0]]), (10, 20)).tolist()
    [[0.0, 0.0, 10.0, 10.0]]
    """
    return np.asarray(np.clip(shares, 0, 1) * (*size[::-1], *size[::-1]))


def shared_extents(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, M) the area, or volume, that each of N `boxes` (N, 2d) shares with each of M `others` (M, 2d).

    >>> shared_extents(np.array([[0, 0, 2, 2]]), np.array([[1, 1, 3, 3], [2, 0, 3, 2]])).tolist()
    [[1.0, 0.0]]
    """
    dims = boxes.shape[1] // 2
    shared = np.ones((len(boxes), len(others)))
    for axis in range(dims):
        low = np.maximum(boxes[:, None, axis], others[:, axis], dtype=np.float64)
        high = np.minimum(boxes[:, None, dims + axis], others[:, dims + axis], dtype=np.float64)
        shared *= np.maximum(high - low, 0)
    return shared
