"""How sure an answer of segments is, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["with_means", "with_scores"]


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


def with_means(segments: Segments, confidence: NDArray[np.floating]) -> Segments:
    """A partition with `confidence` (*S), and its mean over each row's pixels as the row's score.

    >>> from intarsia.core import Segments
    >>> with_means(Segments([[[1, 1]]], [0]), np.array([[0.5, 1.0]])).scores.tolist()
    [0.75]
    """
    total = np.bincount(segments.ids.ravel(), weights=confidence.ravel(), minlength=len(segments) + 1)[1:]  # (N,)
    return segments.with_confidence(confidence, scores=total / segments.areas)
