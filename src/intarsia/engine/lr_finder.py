"""The learning-rate range test (Smith, arXiv 1506.01186): one short run with an ever larger rate, and where its loss falls best."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from intarsia.core.errors import TrainingDiverged
from intarsia.engine.optimisers import set_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

__all__ = ["RangeTest", "range_test"]


@dataclass(frozen=True, eq=False)
class RangeTest:
    """The curve of a range test and the rates it suggests."""

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    """Exponentially smoothed with bias correction (0.98 per step, as fastai does)."""

    def __str__(self) -> str:
        return f"suggested learning rates: valley {self.valley:.2e} (safe), steepest {self.steepest:.2e} (bold)"

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest per decade, before its minimum."""
        end = max(int(np.argmin(self.losses)), 3)
        slope = np.gradient(self.losses[:end], np.log(self.rates[:end]))
        return float(self.rates[int(np.argmin(slope))])

    @property
    def valley(self) -> float:
        """The middle of the longest falling stretch: a rate that is safe to train with (fastai's `valley`).

        >>> test = RangeTest(np.logspace(-6, 0, 7), np.array([2.0, 2.0, 1.9, 1.5, 1.0, 0.9, 3.0]))
        >>> f"{test.valley:.0e}"
        '1e-04'
        """
        losses = self.losses
        lengths = np.ones(len(losses), int)  # the longest falling subsequence that ends here
        for index in range(1, len(losses)):
            earlier = lengths[:index][losses[:index] > losses[index]]
            lengths[index] = 1 + (earlier.max() if len(earlier) else 0)
        end = int(np.argmax(lengths))
        start = max(0, end - int(lengths[end]))
        return float(self.rates[start + (end - start) // 2])


def range_test(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    take_step: Callable[[], float],
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
) -> RangeTest:
    """Calls `take_step`, which trains once and returns its loss, at rates from `lowest` to `highest` in equal ratios, until the
    smoothed loss is four times its least. Weights, optimiser and random state are left as they were, also after an error; the
    network must be in the mode in which it trains.
    """
    before = deepcopy(network.state_dict()), deepcopy(optimiser.state_dict())
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    try:
        with torch.random.fork_rng():  # the random states of the CPU and of every GPU
            for step, rate in enumerate(np.geomspace(lowest, highest, steps)):
                set_rate(optimiser, float(rate))
                mean = 0.98 * mean + 0.02 * take_step()
                smooth = mean / (1 - 0.98 ** (step + 1))
                if not np.isfinite(smooth) or (step > 10 and smooth > 4 * min(losses)):
                    break
                rates.append(float(rate))
                losses.append(smooth)
    finally:
        network.load_state_dict(before[0])
        optimiser.load_state_dict(before[1])
    if len(rates) < 5:
        raise TrainingDiverged(
            "lr-find", expected="at least 5 steps before the loss explodes", received=len(rates), hint="Lower --lowest."
        )
    return RangeTest(np.array(rates), np.array(losses))
