"""How sure an answer of segments is, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from intarsia.core.segments import Segments

__all__ = ["with_scores"]


def with_scores(segments: Segments) -> Segments:
    """The same with a confidence: at each pixel the score of the surest segment there, 1 where there is none.

    >>> from intarsia.core import Segments
    >>> with_scores(Segments([[[1, 0]]], [0], scores=[0.25])).confidence.tolist()
    [[0.25, 1.0]]
    """
    table = np.append(segments.scores, np.float32(-1)).astype(np.float16)[np.r_[-1, : len(segments)]]  # by id, 0 nothing
    sure = table[np.maximum(segments.ids, 0)].max(axis=0)  # (L, *S) -> (*S)
    sure[sure < 0] = 1
    return segments.with_confidence(sure)
