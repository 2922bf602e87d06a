"""What several functions of the face take, and how it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from intarsia.core.errors import OptionError, nearest
from intarsia.data.dataset import Dataset
from intarsia.data.open import open_dataset

__all__ = ["Data", "Measures", "free_file", "opened", "options_of"]

Data = Dataset | str | Path
Measures = Sequence[str] | Mapping[str, Mapping[str, Any]]


def opened(
    data: Data, format: str | None = None, data_args: Mapping[str, Any] | None = None, *, waive: Collection[str] = ()
) -> Dataset:
    """The data set, opened where a folder is given, with the errors that `waive` names passed over."""
    return data if isinstance(data, Dataset) else open_dataset(data, format=format, **{"waive": waive} | dict(data_args or {}))


def free_file(out: str | Path | None) -> None:
    """Raises OptionError where there is a file already, which may have been edited."""
    if out is not None and Path(out).exists():
        raise OptionError("--out", expected="a new file", received=str(out), hint="Remove it, or name another.")


def options_of(kind: type[Any], options: Any, changes: Mapping[str, Any]) -> Any:
    """`options`, or the defaults of `kind`, with `changes`; an unknown name raises OptionError with the nearest."""
    known = [field.name for field in fields(kind)]
    for name in changes:
        if name not in known:
            raise OptionError(f"option {name!r}", expected="an option of the command", hint=nearest(name, known))
    if options is None:
        return kind(**changes)
    if not isinstance(options, kind):
        hint = f"Pass settings by name, or an intarsia.engine.options.{kind.__name__}."
        raise OptionError("options", expected=kind.__name__, received=type(options).__name__, hint=hint)
    return replace(options, **changes)
