"""Rotation: the picture turned about its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intarsia.core.errors import OptionError
from intarsia.transforms._checks import check_share
from intarsia.transforms._plan import Plan, Planned
from intarsia.transforms._windows import about_centre

__all__ = ["Rotation"]


@dataclass(frozen=True)
class Rotation(Planned):
    """Turns the picture by an angle drawn uniformly from -degrees..degrees, its size kept; a volume is turned slice by slice.

    >>> from intarsia.core import Sample
    >>> Rotation(10.0)(Sample(np.ones((9, 9, 1), np.uint8)), np.random.default_rng(0)).image.shape
    (9, 9, 1)
    """

    degrees: float = 10.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180:
            raise OptionError("Rotation degrees", expected="a number from 0 to 180", received=self.degrees)
        check_share("Rotation probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, and an angle."""
        chosen, angle = rng.random() < self.probability, np.radians(rng.uniform(-self.degrees, self.degrees))
        if not chosen:
            return plan
        cos, sin = np.cos(angle), np.sin(angle)
        return plan.seen(about_centre(np.array([[cos, -sin], [sin, cos]]), plan.size), plan.size)
