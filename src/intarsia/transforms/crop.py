"""Crop: a window of the picture at its own scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from intarsia.core.errors import OptionError
from intarsia.transforms._checks import check_size
from intarsia.transforms._plan import Plan, Planned
from intarsia.transforms._windows import drawn_offset, window

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Crop"]


@dataclass(frozen=True)
class Crop(Planned):
    """A window of `size`, at random or in the centre; along an axis where the picture is smaller, void lies around it.

    >>> import numpy as np
    >>> from intarsia.core import Sample
    >>> Crop((1, 2), at="centre")(Sample(np.uint8([[[1], [2], [3], [4]]])), np.random.default_rng(0)).image.ravel().tolist()
    [2, 3]
    """

    size: tuple[int, ...]
    """(H, W) or (D, H, W)."""
    at: Literal["random", "centre"] = "random"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size("Crop size", self.size))
        if self.at not in ("random", "centre"):
            raise OptionError("Crop at", expected="'random' or 'centre'", received=repr(self.at))

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """Draws an offset along each axis, unless in the centre."""
        size = plan.fitting(self.size, "Crop")
        pairs = list(zip(plan.size, size, strict=True))
        low = [drawn_offset(have, want, rng) if self.at == "random" else (have - want) // 2 for have, want in pairs]
        return plan.seen(window(low, size, size), size)
