"""The tree of exceptions. Each text says what is wrong, what was expected, what was received and what to do.

IntarsiaError
├── InvalidNoun      a ClassSet, Segments, Sample ... built from values that contradict each other
├── OptionError      a wrong option, setting or name
├── DataError        something about the files
│   ├── DatasetNotFound   the folder, or what it should contain, is not there
│   ├── UnreadableFile    corrupt, truncated or of an unknown kind
│   ├── PairingError      image without mask, mask without image, sizes that differ
│   ├── LeakError         splits that share images or groups
│   ├── LabelError        values that are no class ids, unknown class files
│   └── CannotHold        a format cannot store what it was given
├── CheckpointError  weights or a run that do not fit
├── TrainingDiverged the loss is no number any more
└── MissingExtra     an optional dependency is not installed
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "CannotHold",
    "CheckpointError",
    "DataError",
    "DatasetNotFound",
    "IntarsiaError",
    "InvalidNoun",
    "LabelError",
    "LeakError",
    "MissingExtra",
    "OptionError",
    "PairingError",
    "TrainingDiverged",
    "UnreadableFile",
    "check_names",
    "few",
    "nearest",
]


SHOWN = 40
"""Names that a hint lists."""


class IntarsiaError(Exception):
    """Everything Intarsia raises on purpose.

    >>> print(OptionError("--epochs", expected="a whole number above 0", received=-3, hint="Leave it out for 20."))
    --epochs: expected a whole number above 0, received -3. Leave it out for 20.
    """

    def __init__(self, what: str, *, expected: object = None, received: object = None, hint: str = "") -> None:
        facts = [f"{verb} {fact}" for verb, fact in (("expected", expected), ("received", received)) if fact is not None]
        text = what + (": " + ", ".join(facts) if facts else "")
        super().__init__(f"{text}. {hint}" if hint else text)


class InvalidNoun(IntarsiaError, ValueError):
    """A noun was built from values that contradict each other."""


class OptionError(IntarsiaError, ValueError):
    """An option, a setting or a name is wrong."""


class DataError(IntarsiaError):
    """Something about the files."""


class DatasetNotFound(DataError, FileNotFoundError):
    """The folder, or what it should contain, is not there."""

    __str__ = Exception.__str__  # OSError would print its errno form


class UnreadableFile(DataError):
    """A file is corrupt, truncated or of an unknown kind."""


class PairingError(DataError):
    """An image without a mask, a mask without an image, or sizes that differ."""


class LeakError(DataError):
    """Splits that share what they must not share."""


class LabelError(DataError):
    """Label values that are no class ids, or a class file that cannot be understood."""


class CannotHold(DataError):
    """A format cannot store what it was given; nothing was written."""


class CheckpointError(IntarsiaError):
    """Weights or a run folder that do not fit."""


class TrainingDiverged(IntarsiaError):
    """The loss is no number any more, or was none from the start."""


class MissingExtra(IntarsiaError, ImportError):
    """An optional dependency is not installed.

    >>> print(MissingExtra("reading GeoTIFF", extra="geo"))
    reading GeoTIFF: expected the optional packages of 'geo'. Run: pip install 'intarsia[geo]'
    """

    def __init__(self, what: str, *, extra: str = "") -> None:
        if not extra:  # unpickled: `what` is the whole text
            super().__init__(what)
            return
        super().__init__(
            what,
            expected=f"the optional packages of '{extra}'",
            hint=f"Run: pip install 'intarsia[{extra}]'",
        )


def few(names: Sequence[str], most: int) -> str:
    """The first of many names, and how many more there are.

    >>> few(["road", "sky", "car"], 2)
    'road, sky and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for a mistyped name: the nearest known one, else all of them, as far as a reader will go through them.

    >>> nearest("rode", ["road", "sky"])
    "Did you mean 'road'?"
    >>> nearest("xyz", ["road", "sky"])
    'Known: road, sky.'
    """
    known = list(known)
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {few(known, SHOWN)}."


def check_names(what: str, given: Iterable[str], known: Iterable[str], expected: str) -> None:
    """Raises OptionError, with the nearest, for the first name that is not among those known.

    >>> check_names("loss 'focal'", ["gama"], ["gamma"], "its own options")
    Traceback (most recent call last):
    ...
    intarsia.core.errors.OptionError: loss 'focal': expected its own options, received 'gama'. Did you mean 'gamma'?
    """
    known = list(known)
    for name in given:
        if name not in known:
            raise OptionError(what, expected=expected, received=repr(name), hint=nearest(name, known))
