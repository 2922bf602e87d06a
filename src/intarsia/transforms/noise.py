"""Noise: Gaussian, one extra pass over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.ops.colour import rounded
from intarsia.transforms._checks import check_share
from intarsia.transforms._plan import Plan, Planned

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Noise"]


@dataclass(frozen=True)
class Noise(Planned):
    """Adds independent Gaussian noise to every value, after all geometry and colour.

    >>> from intarsia.core import Sample
    >>> grey = Sample(np.full((64, 64, 1), 128, np.uint8))
    >>> int(Noise(0.1, probability=1.0)(grey, np.random.default_rng(0)).image.std())
    6
    """

    std: float = 0.03
    """The greatest standard deviation, as a share of the range of values; drawn uniformly from 0 on."""
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_share("Noise std", self.std)
        check_share("Noise probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, a deviation, and the seed of the noise."""
        chosen, std, seed = rng.random() < self.probability, float(rng.uniform(0, self.std)), int(rng.integers(2**63))
        return plan.followed(partial(_noisy, std, seed)) if chosen else plan


def _noisy(std: float, seed: int, image: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """(*S, C) -> (*S, C)."""
    noise = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
    return rounded(image + noise * np.float32(std * (high - low)), image.dtype)
