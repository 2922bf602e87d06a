"""The outlines of truth and prediction, with void: what both are known to have, and where the truth's may lie.

Void is unknown, and what is predicted there is not read. A piece of void between a class and another holds an outline of both, in a
place unknown: the pixels of the class along it are taken for it. A piece that so parts the truth parts the prediction as well,
which says nothing of what is in it. As the truth's outline may lie anywhere in void that the class touches, even in a piece that
the class surrounds, a pixel of the prediction's is as far off as the nearest pixel where the truth's may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.ops.boundaries import band, boundary_points, edges, hidden_points, parted, parting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Points = NDArray[np.int64]

__all__ = ["bands", "outlines"]


def outlines(
    truth: NDArray[Any], guess: NDArray[Any], pieces: NDArray[np.int32] | None, count: int, *, frame: bool
) -> Iterator[tuple[Points, Points, Points]]:
    """For each of `count` classes the points (n, d) of its outline in `truth`, in `guess`, and those where the truth's may be.

    Maps are those of `label_maps`, `pieces` those of the void, None without any. With `frame` the outside is another class; an
    outline of a class that is there is then never empty, as the class ends somewhere.
    """
    if pieces is None:
        sure, found = (boundary_points(labels, edges(labels, frame=frame), count) for labels in (truth, guess))
        return zip(sure, found, sure, strict=True)
    labels = count + 2  # with nothing, and void predicted
    of_truth, of_guess = (parting(side, pieces, labels, frame=frame) for side in (truth, guess))
    closed = parted(truth, pieces, of_truth), parted(guess, pieces, of_truth | of_guess)
    sure, found = (boundary_points(side, edges(side, known, frame=frame), count) for side, known in closed)
    maybe = map(np.concatenate, zip(sure, hidden_points(truth, pieces, count), strict=True))
    return zip(sure, found, maybe, strict=True)


def bands(
    truth: NDArray[Any], guess: NDArray[Any], pieces: NDArray[np.int32] | None, count: int, width: int
) -> list[NDArray[np.bool_]]:
    """(*S) of truth and of prediction the pixels within `width` of another label or of the outside, where the truth is not void.

    `pieces` are those of the void, None without any; the truth's labels are 0..count-1 elsewhere.
    """
    if pieces is None:
        return [band(labels, width) for labels in (truth, guess)]
    parts = parting(truth, pieces, count, frame=True)
    closed = (parted(labels, pieces, parts) for labels in (truth, guess))
    return [band(labels, width, known) & (pieces == 0) for labels, known in closed]
