"""Blur: a Gaussian, one extra pass over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.ops.planes import by_channels
from intarsia.transforms._checks import check_range, check_share
from intarsia.transforms._plan import Plan, Planned

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Blur"]


@dataclass(frozen=True)
class Blur(Planned):
    """Blurs rows and columns by a Gaussian, after all geometry and colour; a volume slice by slice.

    >>> from intarsia.core import Sample
    >>> Blur((1.0, 1.0), 1.0)(Sample(np.uint8([[[0], [0], [100], [0], [0]]])), np.random.default_rng(0)).image[0, 2].item()
    40
    """

    sigma: tuple[float, float] = (0.3, 1.5)
    """In pixels of the result, drawn uniformly."""
    probability: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_range("Blur sigma", self.sigma))
        check_share("Blur probability", self.probability)

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws yes or no, and a sigma."""
        chosen, sigma = rng.random() < self.probability, float(rng.uniform(*self.sigma))
        return plan.followed(partial(_blurred, sigma)) if chosen else plan


def _blurred(sigma: float, image: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """(*S, C) -> (*S, C)."""
    if image.ndim == 4:
        return np.stack([_blurred(sigma, plane, low, high) for plane in image])
    return by_channels(lambda part: cv2.GaussianBlur(part, (0, 0), sigma), image)
