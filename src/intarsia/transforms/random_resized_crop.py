"""RandomResizedCrop: a random part of the picture at one size (Szegedy et al. 2015, arXiv 1409.4842)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intarsia.transforms._checks import check_range, check_size
from intarsia.transforms._plan import Plan, Planned
from intarsia.transforms._windows import drawn_offset, window

__all__ = ["RandomResizedCrop"]


@dataclass(frozen=True)
class RandomResizedCrop(Planned):
    """A window of random share and proportions, resized to `size`. It never leaves the picture.

    >>> from intarsia.core import Sample
    >>> RandomResizedCrop((8, 8))(Sample(np.zeros((16, 24, 3), np.uint8)), np.random.default_rng(0)).image.shape
    (8, 8, 3)
    """

    size: tuple[int, ...]
    """(H, W) or (D, H, W) of the result."""
    share: tuple[float, float] = (0.25, 1.0)
    """Of the picture's area or volume."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width to height of the window, relative to those of `size`; drawn log-uniformly."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size("RandomResizedCrop size", self.size))
        object.__setattr__(self, "share", check_range("RandomResizedCrop share", self.share))
        object.__setattr__(self, "ratio", check_range("RandomResizedCrop ratio", self.ratio))

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws share, proportions, and an offset along each axis."""
        size, present = plan.fitting(self.size, "RandomResizedCrop"), plan.size
        share = rng.uniform(*self.share)
        stretch = float(np.exp(rng.uniform(*np.log(self.ratio)) / 2))
        form = np.array(size, np.float64)
        form[-2:] *= 1 / stretch, stretch
        form *= (share * np.prod(present) / np.prod(form)) ** (1 / len(size))  # the window's extent, in pixels
        seen = [int(n) for n in np.clip(np.rint(form), 1, present)]
        low = [drawn_offset(have, want, rng) for have, want in zip(present, seen, strict=True)]
        return plan.seen(window(low, seen, size), size)
