"""What the thresholds of decoders may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_thresholds"]

SHARE = "a number from 0 to 1"
WHOLE = "a whole number from 1 on"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("score", "mask", "overlap", "least_area", "heat"), (SHARE, lambda value: _number(value) and 0 <= value <= 1)),
    **dict.fromkeys(("max_detections", "top"), (WHOLE, lambda value: _number(value) and value >= 1 and value % 1 == 0)),
    "kernel": ("an odd number from 3 on", lambda value: _number(value) and value >= 3 and value % 2 == 1),
}
"""What each of them is, and whether a value is that."""


def check_thresholds(**given: Any) -> None:
    """Raises OptionError for a value that cannot be; None leaves the choice to the decoder, other names are not known here.

    >>> check_thresholds(score=0.5, top=None)
    """
    for name, value in given.items():
        expected, fits = RULES.get(name, ("", None))
        if value is not None and fits is not None and not fits(value):
            raise OptionError(f"threshold {name}", expected=expected, received=repr(value))
