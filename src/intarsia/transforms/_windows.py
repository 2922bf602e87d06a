"""Matrices of windows: which part of the present picture the next one shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["about_centre", "drawn_offset", "window"]


def window(low: Sequence[float], extent: Sequence[float], size: Sequence[int]) -> NDArray[np.float64]:
    """The matrix (d+1, d+1) that shows at `size` the box from `low`, `extent` long, in pixels of the present picture.

    >>> window([2, 0], [4, 4], [2, 4]).tolist()
    [[2.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    matrix = np.diag([*(e / n for e, n in zip(extent, size, strict=True)), 1.0])
    matrix[:-1, -1] = low
    return matrix


def drawn_offset(present: int, wanted: int, rng: np.random.Generator, near: float | None = None) -> int:
    """Where a window of `wanted` pixels starts on an axis of `present`: anywhere within, or, if longer, anywhere around (<= 0).

    Where `near` names a point of the axis, it comes to lie in the middle half of the window, as far as the picture's edges allow.
    """
    low, high = sorted((0, present - wanted))
    if near is None or high == 0:
        return int(rng.integers(low, high + 1))
    return min(max(int(near - wanted * rng.uniform(0.25, 0.75)), 0), high)


def about_centre(linear: NDArray[np.float64], size: Sequence[int]) -> NDArray[np.float64]:
    """The matrix (d+1, d+1) that applies `linear` (2, 2) to rows and columns about the centre of the picture."""
    dims = len(size)
    matrix = np.eye(dims + 1)
    matrix[dims - 2 : dims, dims - 2 : dims] = linear
    centre = np.array(size) / 2
    matrix[:-1, -1] = centre - matrix[:-1, :-1] @ centre
    return matrix
