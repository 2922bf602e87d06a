"""Checks of options, so that a transform that cannot work is never made; and the draw that the colour transforms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["check_range", "check_share", "check_size", "drawn_factor"]


def check_size(name: str, size: Sequence[int]) -> tuple[int, ...]:
    """`size` as a tuple of two or three whole numbers above 0 in the order of S, else OptionError.

    >>> check_size("Resize size", [360, 480])
    (360, 480)
    """
    if not isinstance(size, (tuple, list)) or len(size) not in (2, 3) or any(int(n) != n or n < 1 for n in size):
        raise OptionError(name, expected="(H, W) or (D, H, W), whole numbers above 0", received=size)
    return tuple(int(n) for n in size)


def check_range(name: str, limits: Sequence[float], *, above: float = 0.0) -> tuple[float, float]:
    """`limits` as (low, high) with above < low <= high, else OptionError."""
    if not isinstance(limits, (tuple, list)) or len(limits) != 2 or not above < limits[0] <= limits[1]:
        raise OptionError(name, expected=f"(low, high) with {above:g} < low <= high", received=limits)
    return float(limits[0]), float(limits[1])


def check_share(name: str, value: float) -> None:
    """OptionError unless 0 <= value <= 1."""
    if not 0 <= value <= 1:
        raise OptionError(name, expected="a number from 0 to 1", received=value)


def drawn_factor(amount: float, probability: float, rng: np.random.Generator) -> float:
    """Uniformly from 1 - amount .. 1 + amount with the given probability, else 1."""
    chosen, factor = rng.random() < probability, float(rng.uniform(1 - amount, 1 + amount))
    return factor if chosen else 1.0
