"""Option dataclasses checked by their annotations, and read from and written to TOML."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from intarsia.core.errors import OptionError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Within", "checked", "flag", "from_toml", "to_toml"]

T = TypeVar("T")


@dataclass(frozen=True)
class Within:
    """The bounds of a number, for use in `Annotated`: at least `low` (or `above` it), at most `high` (or `below` it).

    >>> str(Within(0, 1, above=True))
    'above 0 and at most 1'
    """

    low: float
    high: float | None = None
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies within; never for nan."""
        over = value > self.low if self.above else value >= self.low
        under = self.high is None or (value < self.high if self.below else value <= self.high)
        return over and under

    def __str__(self) -> str:
        low = f"above {self.low}" if self.above else f"of at least {self.low}"
        return low if self.high is None else f"{low} and {'below' if self.below else 'at most'} {self.high}"


class _Mismatch(Exception):
    """Carries the words for what was expected."""


def flag(key: str) -> str:
    """The command-line spelling of a field.

    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + key.replace("_", "-")


def checked(kind: type, values: Mapping[str, Any], spelled: Callable[[str], str]) -> dict[str, Any]:
    """`values` in the types that the fields of the dataclass `kind` declare: lists as tuples, whole numbers as floats where asked.

    Raises OptionError, with the key as `spelled`, for an unknown key (with the nearest known) and for a value of the wrong type.
    """
    hints = _hints(kind)
    result = {}
    for key, value in values.items():
        if key not in hints:
            raise OptionError(f"unknown option {spelled(key)}", hint=nearest(key, hints))
        try:
            result[key] = _as(hints[key], value)
        except _Mismatch as mismatch:
            raise OptionError(spelled(key), expected=str(mismatch), received=repr(value)) from None
    return result


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


def _as(hint: Any, value: Any) -> Any:
    """`value` in the type `hint`, or _Mismatch saying in words what was expected."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        try:
            number = _as(inner[0], value)
        except _Mismatch as mismatch:
            raise _Mismatch(f"{mismatch} {inner[1]}") from None
        if not inner[1].holds(number):
            raise _Mismatch(f"{_WORDS[inner[0]]} {inner[1]}")
        return number
    if origin in (Union, UnionType):  # only `X | None` occurs
        return None if value is None else _as(inner[0], value)
    if origin is Literal:
        if value not in inner:
            raise _Mismatch("one of " + ", ".join(inner))
        return value
    if origin is tuple:
        items = list(value) if isinstance(value, (list, tuple)) else None
        wanted = inner[:1] * len(items or ()) if inner[-1] is Ellipsis else inner
        if items is None or len(items) != len(wanted):
            raise _Mismatch("a list of values" if inner[-1] is Ellipsis else f"{len(inner)} values")
        return tuple(_as(part, item) for part, item in zip(wanted, items, strict=True))
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise _Mismatch("a table of name = value")
        return {key: _as(inner[1], item) for key, item in value.items()}
    return _plain(value) if hint is Any else _scalar(hint, value)


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _scalar(hint: type, value: Any) -> bool | int | float | str:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if hint is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if hint is str and isinstance(value, (str, os.PathLike)):
        return str(os.fspath(value))
    raise _Mismatch(_WORDS[hint])


def _plain(value: Any) -> Any:
    """A value that TOML can hold, its lists as tuples, so that reading gives back what was written."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    for hint in _WORDS:
        try:
            return _scalar(hint, value)
        except _Mismatch:
            continue
    raise _Mismatch("text, numbers, true or false, and lists or tables of these")


def to_toml(options: Any, comments: Mapping[str, str] | None = None) -> str:
    """An option dataclass as TOML, every field that is not None, tables last; `from_toml` gives the equal dataclass back.

    With `comments` only the fields that they name, each below its comment.

    >>> from intarsia.engine.options import TrainOptions
    >>> to_toml(TrainOptions(encoder="resnet18")).splitlines()[:2]
    ['encoder = "resnet18"', 'weights = "none"']
    """
    names = [field.name for field in fields(options)] if comments is None else list(comments)
    values = {name: getattr(options, name) for name in names}
    told = {name: [f"# {text}"] for name, text in (comments or {}).items()}
    lines = []
    for key, value in values.items():
        if value is not None and not isinstance(value, dict):
            lines += [*told.get(key, []), f"{key} = {_toml(value)}"]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += ["", *told.get(key, []), f"[{key}]", *(f"{_toml_key(name)} = {_toml(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def from_toml(kind: type[T], source: str | Path, **overrides: Any) -> T:
    """The dataclass `kind` from TOML text, or from a file where `source` is a Path, with `overrides` on top.

    Raises OptionError for a file that is missing or no TOML, an unknown key (with the nearest known) or a value of the wrong type.

    >>> from intarsia.engine.options import TrainOptions
    >>> from_toml(TrainOptions, "epochs = 3", lr=0.01).lr
    0.01
    """
    where = str(source) if isinstance(source, Path) else "TOML text"
    try:
        read = tomllib.loads(source.read_text(encoding="utf-8") if isinstance(source, Path) else source)
    except FileNotFoundError:
        raise OptionError(where, expected="a TOML file of options", received="no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(where, expected="a TOML file of options", received=str(error)) from error
    values = checked(kind, read, lambda key: f"{key} in {where}")
    return kind(**{**values, **overrides})


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # a JSON string is a TOML string but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml_key(key)} = {_toml(item)}' for key, item in value.items())} }}"
    return repr(value)
