"""What options of losses may be, so that a wrong one is an error before the first step and not a nan after it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AMOUNT", "AT_LEAST_ONE", "CLASSES", "COUNT", "POSITIVE", "SHARE", "SMOOTHING", "SWITCH", "WEIGHTS", "Kind", "check"]


class Kind(NamedTuple):
    """A set of values, in words and as a question."""

    text: str
    holds: Callable[[Any], bool]


def check(loss: str, **options: tuple[object, Kind]) -> None:
    """Raises OptionError for the first option that is not of its kind.

    >>> check("dice", smooth=(-3, AMOUNT))
    Traceback (most recent call last):
    ...
    intarsia.core.errors.OptionError: dice smooth: expected a number of at least 0, received -3
    """
    for name, (value, kind) in options.items():
        if not kind.holds(value):
            raise OptionError(f"{loss} {name}", expected=kind.text, received=repr(value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -inf < value < inf


def _whole(value: Any) -> bool:
    return _number(value) and isinstance(value, int)


def _list_of(value: Any, holds: Callable[[Any], bool]) -> bool:
    """None too; a tensor or an array by its numbers."""
    items = value.tolist() if hasattr(value, "tolist") else value
    return items is None or (isinstance(items, list | tuple | range) and all(holds(item) for item in items))


AMOUNT = Kind("a number of at least 0", lambda value: _number(value) and value >= 0)
POSITIVE = Kind("a number above 0", lambda value: _number(value) and value > 0)
AT_LEAST_ONE = Kind("a number of at least 1", lambda value: _number(value) and value >= 1)
SHARE = Kind("a number above 0, up to 1", lambda value: _number(value) and 0 < value <= 1)
SMOOTHING = Kind("a number of at least 0, below 1", lambda value: _number(value) and 0 <= value < 1)
COUNT = Kind("a whole number of at least 0", lambda value: _whole(value) and value >= 0)
SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
CLASSES = Kind("a list of class indices", lambda value: _list_of(value, COUNT.holds))
WEIGHTS = Kind("a list of numbers of at least 0", lambda value: _list_of(value, AMOUNT.holds))
