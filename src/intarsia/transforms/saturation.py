"""Saturation: channels drawn from or towards grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.ops.colour import greying
from intarsia.transforms._checks import check_share, drawn_factor
from intarsia.transforms._plan import Plan, Planned

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Saturation"]


@dataclass(frozen=True)
class Saturation(Planned):
    """Moves each channel from or towards grey (`ops.colour.greying`); an image of one channel stays as it is.

    >>> import numpy as np
    >>> from intarsia.core import Sample
    >>> Saturation(0.0)(Sample(np.uint8([[[7]]])), np.random.default_rng(0)).image.item()
    7
    """

    amount: float = 0.3
    """The factor is drawn uniformly from 1 - amount .. 1 + amount."""
    probability: float = 1.0

    def __post_init__(self) -> None:
        check_share("Saturation amount", self.amount)
        check_share("Saturation probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, and a factor."""
        factor = drawn_factor(self.amount, self.probability, rng)
        return plan.mixed(greying(plan.channels, factor)) if factor != 1 and plan.channels > 1 else plan
