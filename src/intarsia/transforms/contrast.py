"""Contrast: values drawn from or towards the middle of their range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.transforms._checks import check_share, drawn_factor
from intarsia.transforms._plan import Plan, Planned

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Contrast"]


@dataclass(frozen=True)
class Contrast(Planned):
    """Stretches the values about the middle of their range (`ops.colour.value_range`), so no pixel need be looked at first.

    >>> import numpy as np
    >>> from intarsia.core import Sample
    >>> Contrast(0.0)(Sample(np.uint8([[[7]]])), np.random.default_rng(0)).image.item()
    7
    """

    amount: float = 0.3
    """The factor is drawn uniformly from 1 - amount .. 1 + amount."""
    probability: float = 1.0

    def __post_init__(self) -> None:
        check_share("Contrast amount", self.amount)
        check_share("Contrast probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, and a factor."""
        factor = drawn_factor(self.amount, self.probability, rng)
        return plan.curved(scale=factor, shift=(1 - factor) / 2) if factor != 1 else plan
