"""Flip: the picture mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intarsia.transforms._checks import check_share
from intarsia.transforms._plan import Plan, Planned

__all__ = ["Flip"]


@dataclass(frozen=True)
class Flip(Planned):
    """Mirrors the picture along each axis with a probability of its own.

    >>> from intarsia.core import Sample
    >>> Flip(horizontal=1.0)(Sample(np.uint8([[[1], [2]]])), np.random.default_rng(0)).image.ravel().tolist()
    [2, 1]
    """

    horizontal: float = 0.5
    """Left to right."""
    vertical: float = 0.0
    """Top to bottom."""
    depth: float = 0.0
    """First slice to last; images without depth are left alone."""

    def __post_init__(self) -> None:
        for name in ("horizontal", "vertical", "depth"):
            check_share(f"Flip {name}", getattr(self, name))

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws one yes or no per axis."""
        dims = len(plan.size)
        chances = (self.depth, self.vertical, self.horizontal)[-dims:]
        matrix = np.eye(dims + 1)
        for axis, flipped in enumerate(rng.random(dims) < chances):
            if flipped:
                matrix[axis, axis], matrix[axis, -1] = -1, plan.size[axis]
        return plan.seen(matrix, plan.size)
