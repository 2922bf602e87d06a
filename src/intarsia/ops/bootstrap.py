"""Bootstrap intervals over images: how far a score would move had the test set been another draw of such images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["bootstrap_intervals"]


def bootstrap_intervals(
    sums: NDArray[np.number],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    rounds: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> NDArray[np.float64]:
    """(M, 2) the percentile interval of each of M scores, from I images drawn with replacement (Efron 1979).

    `sums` (I, K) is what each image adds to K counts; `statistic` makes the scores (R, M) of R draws from their totals (R, K). The
    weights of all draws are one multinomial matrix, so all totals are one matrix product. A draw whose score is nan (a class no
    drawn image holds) is left out; a score that is always nan has a nan interval, and so has every score of a single image.
    Raises OptionError for fewer than one round or a level outside 0..1.

    >>> ones_of_four = np.array([[1, 4], [3, 4], [2, 4]])
    >>> bootstrap_intervals(ones_of_four, lambda total: total[:, :1] / total[:, 1:]).round(2).tolist()
    [[0.25, 0.75]]
    """
    if rounds < 1 or not 0 < level < 1:
        raise OptionError(
            "bootstrap", expected="rounds above 0 and a level within 0..1", received=f"{rounds} rounds, level {level}"
        )
    images = len(sums)
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=rounds)  # (R, I)
    scores = statistic(weights.astype(np.float64) @ sums.astype(np.float64))  # (R, I) @ (I, K) -> (R, M)
    intervals = np.full((scores.shape[1], 2), np.nan)
    known = ~np.isnan(scores).all(axis=0) & (images > 1)
    ends = (1 - level) / 2, (1 + level) / 2
    if known.any():
        intervals[known] = np.nanquantile(scores[:, known], ends, axis=0).T  # (2, M) -> (M, 2)
    return intervals
