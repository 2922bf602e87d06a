"""Boxes that a file tells against those of the pixels: which do not fit, and how most of them were meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intarsia.ops.boxes import box_extents

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FITTING", "Misfit", "misfit"]

FITS = 0.5
"""The IoU from which on a box fits."""
SLACK = 2
"""Pixels that an edge may be off in any box: outlines have fractions, and thin things are drawn a pixel wider."""


class Misfit(NamedTuple):
    """How most of the boxes of an image that do not fit were meant."""

    cause: str = ""
    """corners (x0, y0, x1, y1 for x, y, width, height), centre (its x, y for those of the corner), scale, or empty."""
    across: float = 1.0
    down: float = 1.0
    """Of a scale how many times as large as the image the boxes' own is."""


FITTING = Misfit()


def misfit(tight: NDArray[Any], stored: NDArray[Any], size: tuple[int, ...]) -> tuple[NDArray[np.intp], Misfit]:
    """Which of `stored` (N, 4) do not fit `tight` (N, 4) in an image of `size`, and how most of these were meant."""
    limits = np.array([*size[::-1], *size[::-1]], np.float64)
    within = np.clip(stored, 0, limits)  # of objects that go on beyond the image, boxes may too
    close = (np.abs(within - tight) <= SLACK).all(axis=1)
    astray = np.flatnonzero(~close & (_ious(within, tight) < FITS))
    if not len(astray):
        return astray, FITTING
    tight, stored = tight[astray].astype(np.float64), stored[astray].astype(np.float64)
    corner, extent = stored[:, :2], stored[:, 2:] - stored[:, :2]  # (N, 2) each, as the file has them
    scale = np.median(extent / (tight[:, 2:] - tight[:, :2]), axis=0)
    guesses = {"corners": np.concatenate([corner, extent], axis=1), "centre": stored - np.tile(extent / 2, 2)}
    if (scale > 0).all():
        guesses["scale"] = stored / np.tile(scale, 2)
    fits = {cause: int((_ious(boxes, tight) >= FITS).sum()) for cause, boxes in guesses.items()}
    cause = max(fits, key=lambda name: fits[name])
    if 2 * fits[cause] <= len(astray):
        return astray, FITTING
    return astray, Misfit(cause, *scale.tolist()) if cause == "scale" else Misfit(cause)


def _ious(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) of each box with the other of its place."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    return np.asarray(shared / np.maximum(box_extents(boxes) + box_extents(others) - shared, 1e-9))
