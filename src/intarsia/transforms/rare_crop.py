"""RareCrop: a picture of random scale, cut around a pixel of a class that is seldom seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import OptionError
from intarsia.transforms._checks import check_share
from intarsia.transforms.scale_and_crop import ScaleAndCrop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.core import Segments
    from intarsia.transforms._plan import Plan

__all__ = ["RareCrop"]


@dataclass(frozen=True)
class RareCrop(ScaleAndCrop):
    """`ScaleAndCrop` whose window, with the given probability, is cut around a pixel of the truth.

    First a class is drawn among those of the picture, by `chances`, then one of its pixels; the window is laid so that the pixel is
    in its middle half, where a rotation that follows leaves it, or as near as the picture's edges allow. Where the picture is no
    larger than the window, all of it is seen anyway.

    >>> from intarsia.core import Sample, Segments
    >>> labels = np.zeros((64, 64), int)
    >>> labels[40, 9] = 1  # one pixel in 4096
    >>> cut = RareCrop((16, 16), (1.0, 1.0), probability=1.0, chances=(0.0, 1.0))
    >>> sample = Sample(np.zeros((64, 64, 1), np.uint8), Segments.from_semantic(labels, 2))
    >>> [1 in cut(sample, np.random.default_rng(seed)).segments.semantic(2) for seed in range(3)]
    [True, True, True]
    """

    probability: float = 0.5
    chances: Sequence[float] | None = None
    """By class index, relative to one another; those at 0 are never drawn. None: the inverse of the class's pixels here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("RareCrop probability", self.probability)
        if self.chances is not None and not all(np.isfinite(chance) and chance >= 0 for chance in self.chances):
            raise OptionError("RareCrop chances", expected="numbers of at least 0", received=self.chances)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, a pixel, a scale, and an offset along each axis."""
        point = self._pixel(plan.truth, rng) if plan.truth is not None and rng.random() < self.probability else None
        if point is None:
            return super().draw(plan, rng)
        here = np.linalg.solve(plan.matrix, [*(point + 0.5), 1.0])[:-1]  # from the source to the present picture
        return self.cut(plan, rng, here.tolist())

    def _pixel(self, truth: Segments, rng: np.random.Generator) -> NDArray[np.intp] | None:
        """(d,) the index of a pixel of a drawn class; None where no class that may be drawn has any."""
        chances = self._chances(truth)
        while chances.sum() > 0:
            drawn = int(rng.choice(len(chances), p=chances / chances.sum()))
            rows = np.flatnonzero(truth.classes == drawn) + 1
            places = np.flatnonzero(truth.ids == rows[0] if len(rows) == 1 else np.isin(truth.ids, rows))
            if len(places):
                return np.array(np.unravel_index(places[rng.integers(len(places))], truth.ids.shape))[1:]  # (L, *S) -> (d,)
            chances[drawn] = 0  # rows without pixels
        return None

    def _chances(self, truth: Segments) -> NDArray[np.float64]:
        """(C,) of the classes in the picture, 0 for others."""
        count = int(truth.classes.max(initial=-1)) + 1
        if self.chances is None:
            pixels = np.bincount(truth.classes, truth.areas, minlength=count)
            return np.where(pixels > 0, 1 / np.maximum(pixels, 1), 0.0)
        here = np.zeros(count)
        given = np.asarray(self.chances, np.float64)[:count]
        here[: len(given)] = given
        return here * (np.bincount(truth.classes, minlength=count) > 0)
