"""Zoom: the picture scaled about its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intarsia.transforms._checks import check_range, check_share
from intarsia.transforms._plan import Plan, Planned
from intarsia.transforms._windows import about_centre

__all__ = ["Zoom"]


@dataclass(frozen=True)
class Zoom(Planned):
    """Scales rows and columns about the centre by a factor drawn log-uniformly from `scale`, the picture's size kept: above 1 its
    edges are lost, below 1 void lies around it.

    >>> from intarsia.core import Sample
    >>> Zoom((2.0, 2.0))(Sample(np.uint8([[[1], [2], [3], [4]]] * 4)), np.random.default_rng(0)).segments is None
    True
    """

    scale: tuple[float, float] = (0.8, 1.25)
    probability: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", check_range("Zoom scale", self.scale))
        check_share("Zoom probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, and a scale."""
        chosen, factor = rng.random() < self.probability, np.exp(rng.uniform(*np.log(self.scale)))
        return plan.seen(about_centre(np.eye(2) / factor, plan.size), plan.size) if chosen else plan
