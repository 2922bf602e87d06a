"""Bootstrap intervals over images: how far a score would move had the test set been another draw of such images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Statistic = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]

__all__ = ["bootstrap_intervals"]

CELLS = 1 << 24
"""Weights at a time, 128 MiB of them: a thousand draws of up to 16,777 images are asked for at once."""


def bootstrap_intervals(
    images: int, statistic: Statistic, *, rounds: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """By name the percentile interval, (2,), or (C, 2) by class, of each score from `images` drawn with replacement (Efron 1979).

    `statistic` takes the weights (R, I) of R draws, that is how often each holds each of I images, and gives their scores by name,
    (R,) or (R, C); it is called for as many draws at a time as keep the weights small. A draw whose score is nan (a class no drawn
    image holds) is left out; a score that is always nan has a nan interval, and so has every score of a single image. Raises
    OptionError for fewer than one round or a level outside 0..1.

    >>> right = np.array([1, 3, 2])  # of 4 in each of three images
    >>> bootstrap_intervals(3, lambda weights: {"share": weights @ right / 12})["share"].round(2).tolist()
    [0.25, 0.75]
    """
    if rounds < 1 or not 0 < level < 1:
        raise OptionError(
            "bootstrap", expected="rounds above 0 and a level within 0..1", received=f"{rounds} rounds, level {level}"
        )
    rng, step = np.random.default_rng(seed), max(1, CELLS // images)
    parts = []
    for start in range(0, rounds, step):  # one stream of draws, however it is cut
        drawn = rng.multinomial(images, np.full(images, 1 / images), size=min(step, rounds - start))  # (R, I)
        parts.append(statistic(drawn.astype(np.float64)))
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}  # (R,) or (R, C) each
    return {name: _interval(drawn, level if images > 1 else None) for name, drawn in scores.items()}


def _interval(scores: NDArray[np.float64], level: float | None) -> NDArray[np.float64]:
    """(2,) or (C, 2) of (R,) or (R, C) scores; nan without a level, and where all are."""
    interval = np.full((*scores.shape[1:], 2), np.nan)
    known = ~np.isnan(scores).all(axis=0)  # () or (C,)
    if level is not None and known.any():
        ends = (1 - level) / 2, (1 + level) / 2
        interval[known] = np.nanquantile(scores[:, known], ends, axis=0).T  # (2, C) -> (C, 2)
    return interval
