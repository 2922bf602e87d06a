"""Integer maps: which values occur in them, and in which runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["line_runs", "occurring"]

FEW = 34
"""Values that are looked for one by one in a map of bytes."""


def line_runs(layer: NDArray[Any]) -> tuple[NDArray[np.intp], tuple[NDArray[np.intp], ...], tuple[NDArray[np.intp], ...]]:
    """Runs of ids above 0 along the last axis of (*S), few beside its pixels: id (R,), first and last pixel, each d of (R,)."""
    starts_here = np.ones(layer.shape, np.bool_)
    np.not_equal(layer[..., 1:], layer[..., :-1], out=starts_here[..., 1:])
    starts = np.flatnonzero(starts_here)
    ends = np.append(starts, layer.size)[1:] - 1
    ids = layer.reshape(-1)[starts].astype(np.intp)
    some = ids > 0
    return ids[some], np.unravel_index(starts[some], layer.shape), np.unravel_index(ends[some], layer.shape)


def occurring(labels: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """(count,) which values occur; -1 marks the last."""
    if labels.itemsize == 1 and count <= FEW:  # by memchr, which looks for one value in a thirtieth of the time below
        stored = labels.tobytes()
        return np.array([bytes([value]) in stored for value in (*range(count - 1), 255)])
    seen = np.zeros(count, np.bool_)
    seen[labels.astype(np.intp, copy=False)] = True  # narrow integers take five times as long to index with; so above, take
    return seen
