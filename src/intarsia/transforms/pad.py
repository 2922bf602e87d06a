"""Pad: void added below and to the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.core.errors import OptionError
from intarsia.transforms._checks import check_size
from intarsia.transforms._plan import Plan, Planned
from intarsia.transforms._windows import window

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Pad"]


@dataclass(frozen=True)
class Pad(Planned):
    """Adds void at the far end of each axis until it is at least `least` long and divides by `multiple`.

    >>> import numpy as np
    >>> from intarsia.core import Sample
    >>> Pad(multiple=4)(Sample(np.zeros((5, 8, 3), np.uint8)), np.random.default_rng(0)).image.shape
    (8, 8, 3)
    """

    multiple: int = 32
    least: tuple[int, ...] | None = None
    """(H, W) or (D, H, W)."""

    def __post_init__(self) -> None:
        if int(self.multiple) != self.multiple or self.multiple < 1:
            raise OptionError("Pad multiple", expected="a whole number above 0", received=self.multiple)
        if self.least is not None:
            object.__setattr__(self, "least", check_size("Pad least", self.least))

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws nothing."""
        least = plan.size if self.least is None else plan.fitting(self.least, "Pad least")
        size = tuple(-(-max(pair) // self.multiple) * self.multiple for pair in zip(plan.size, least, strict=True))
        return plan.seen(window([0] * len(size), size, size), size)
