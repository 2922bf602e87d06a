"""Resize: the whole picture at another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.ops.resampling import resizing
from intarsia.transforms._checks import check_size
from intarsia.transforms._plan import Plan, Planned

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Resize"]


@dataclass(frozen=True)
class Resize(Planned):
    """The whole picture at `size`, whatever that does to its proportions.

    >>> import numpy as np
    >>> from intarsia.core import Sample
    >>> Resize((2, 2))(Sample(np.zeros((4, 6, 3), np.uint8)), np.random.default_rng(0)).image.shape
    (2, 2, 3)
    """

    size: tuple[int, ...]
    """(H, W) or (D, H, W)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size("Resize size", self.size))

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws nothing."""
        return plan.seen(resizing(plan.size, plan.fitting(self.size, "Resize")), self.size)
