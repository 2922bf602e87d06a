"""COCO's run lengths of all objects of an image at once, from the runs of its id maps: no mask is formed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.ops.rle import to_rle
from intarsia.ops.runs import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["object_rles"]


def object_rles(segments: Segments) -> list[dict[str, Any]]:
    """For each of N rows the run lengths of its mask (H, W), as `to_rle` gives them.

    >>> from intarsia.core import Segments
    >>> object_rles(Segments([[[1, 2], [0, 2]]], [0, 0]))
    [{'size': [2, 2], 'counts': '013'}, {'size': [2, 2], 'counts': '22'}]
    """
    height, width = segments.size
    found = []
    for layer in segments.ids:
        values, lengths = runs(np.ascontiguousarray(layer.T))  # (H, W) -> (W, H), for COCO reads by columns
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        some = values > 0
        found.append(np.stack([values[some], starts[some], starts[some] + lengths[some]]).astype(np.int64))
    whole = np.concatenate(found, axis=1)  # (3, R)
    rows, starts, ends = whole[:, np.lexsort((whole[1], whole[0]))]  # by row, then by place
    first = np.searchsorted(rows, np.arange(1, len(segments) + 2)).tolist()
    counts = []
    for row in range(len(segments)):
        own = slice(first[row], first[row + 1])
        edges = np.stack([starts[own], ends[own]], axis=1).ravel()  # (runs, 2) -> (2 runs,)
        lengths = np.diff(edges, prepend=0, append=height * width)
        counts.append(lengths if lengths[-1] or len(lengths) == 1 else lengths[:-1])
    rles = [{"size": [height, width], "counts": text} for text in _texts(counts)]
    for row in np.unique(rows[1:][(rows[1:] == rows[:-1]) & (starts[1:] <= ends[:-1])]).tolist():
        rles[row - 1] = to_rle(segments.mask(row - 1))  # in several layers, where its pieces touch
    return rles


def _texts(counts: list[NDArray[Any]]) -> list[str]:
    """The run lengths of each row as COCO's text: from the fourth on as the difference to the one but one before, in groups of five
    bits, the lowest first, a sixth bit telling that more follow (common/maskApi.c, rleToString).
    """
    if not counts:
        return []
    rest = np.concatenate([np.concatenate([row[:3], row[3:] - row[1:-2]]) for row in counts])  # (M,)
    groups, used, more = [], [], np.ones(len(rest), np.bool_)
    while more.any():
        used.append(more)
        group, rest = rest & 31, rest >> 5
        more = more & (rest != np.where(group & 16, -1, 0))
        groups.append((group + 48 + 32 * more).astype(np.uint8))
    there = np.stack(used, axis=1)  # (M, groups)
    letters = np.stack(groups, axis=1)[there].tobytes().decode()
    ends = np.cumsum(there.sum(axis=1))[np.cumsum([len(row) for row in counts]) - 1].tolist()  # of each row
    return [letters[start:end] for start, end in zip([0, *ends], ends, strict=False)]
