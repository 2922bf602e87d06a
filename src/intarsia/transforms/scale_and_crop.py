"""ScaleAndCrop: a picture of random scale, cut or padded to one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intarsia.transforms._checks import check_range, check_size
from intarsia.transforms._plan import Plan, Planned
from intarsia.transforms._windows import drawn_offset, window

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ScaleAndCrop"]


@dataclass(frozen=True)
class ScaleAndCrop(Planned):
    """Scales the picture by a factor drawn log-uniformly from `scale` and cuts a random window of `size`.

    Where the scaled picture is smaller it lies anywhere within the window, void around it. The window is cut on whole pixels,
    before it is scaled.

    >>> from intarsia.core import Sample
    >>> ScaleAndCrop((8, 8))(Sample(np.zeros((16, 24, 3), np.uint8)), np.random.default_rng(0)).image.shape
    (8, 8, 3)
    """

    size: tuple[int, ...]
    """(H, W) or (D, H, W) of the result."""
    scale: tuple[float, float] = (0.5, 2.0)
    base: tuple[int, ...] | None = None
    """The size of the whole picture at scale 1; None for its own. For training at half size give half the picture's."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size("ScaleAndCrop size", self.size))
        object.__setattr__(self, "scale", check_range("ScaleAndCrop scale", self.scale))
        if self.base is not None:
            object.__setattr__(self, "base", check_size("ScaleAndCrop base", self.base))

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws a scale, and an offset along each axis."""
        return self.cut(plan, rng, (None,) * len(plan.size))

    def cut(self, plan: Plan, rng: np.random.Generator, near: Sequence[float | None]) -> Plan:
        """The same with the window cut near a point of the present picture, along the axes for which one is given."""
        size, present = plan.fitting(self.size, "ScaleAndCrop"), plan.size
        base = present if self.base is None else plan.fitting(self.base, "ScaleAndCrop base")
        factor = float(np.exp(rng.uniform(*np.log(self.scale))))
        low, extent = [], []
        for have, whole, want, point in zip(present, base, size, near, strict=True):
            scaled = max(round(whole * factor), 1)
            if scaled <= want:  # all of the axis is seen, somewhere within the window
                step = have / scaled
                extent.append(want * step)
                low.append(drawn_offset(scaled, want, rng) * step)
            else:
                seen = min(max(round(want * have / scaled), 1), have)
                extent.append(seen)
                low.append(drawn_offset(have, seen, rng, point))
        return plan.seen(window(low, extent, size), size)
