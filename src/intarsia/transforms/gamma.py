"""Gamma: dark values spread or pressed together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intarsia.transforms._checks import check_range, check_share
from intarsia.transforms._plan import Plan, Planned

__all__ = ["Gamma"]


@dataclass(frozen=True)
class Gamma(Planned):
    """Raises the values, scaled to 0..1, to a power drawn log-uniformly from `power`; below 1 is brighter.

    >>> from intarsia.core import Sample
    >>> Gamma((2.0, 2.0))(Sample(np.uint8([[[0], [51], [255]]])), np.random.default_rng(0)).image.ravel().tolist()
    [0, 10, 255]
    """

    power: tuple[float, float] = (0.7, 1.4)
    probability: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", check_range("Gamma power", self.power))
        check_share("Gamma probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, and a power."""
        chosen, power = rng.random() < self.probability, float(np.exp(rng.uniform(*np.log(self.power))))
        return plan.curved(power=power) if chosen else plan
