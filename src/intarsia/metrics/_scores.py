"""The scores of a measure, as a record that prints, and goes into JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import few
from intarsia.metrics._semantic_scores import cell, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scores"]

SHOWN = 12
"""The classes without scores that are named."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What `compute` gives: numbers by name, some of the whole and some by class; nan stands where a score is not defined."""

    about: str
    """What was measured, and in which unit."""
    names: tuple[str, ...]
    """The C classes."""
    images: int
    """How many were scored."""
    values: dict[str, Any]
    """By name a number, or (C,) numbers by class."""
    intervals: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """95 % bootstrap intervals over images, (2,) or (C, 2); empty where none were drawn."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the measure was asked with."""
    missed: tuple[str, ...] = ()
    """The classes that the truth holds and no answer, where the measure knows."""
    measures: dict[str, Any] = field(default_factory=dict)
    """The scores of the further measures that were asked for, by name, such as `scores.measures["boundary"]`."""

    def __getitem__(self, name: str) -> Any:
        """One of `values`."""
        return self.values[name]

    def unpredicted(self) -> list[str]:
        """The classes that the truth holds and no answer."""
        return list(self.missed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, per-class ones by name, None where a score is not defined."""

        def named(values: Any, by_class: bool) -> Any:
            return dict(zip(self.names, plain(values), strict=True)) if by_class else plain(values)

        by_class = {name: np.ndim(value) > 0 for name, value in self.values.items()}
        return {
            "images": self.images,
            **{name: named(value, by_class[name]) for name, value in self.values.items()},
            "intervals": {name: named(ends, by_class[name]) for name, ends in self.intervals.items()},
            "options": {name: list(value) if isinstance(value, tuple) else value for name, value in self.options.items()},
            **{name: scores.to_dict() for name, scores in self.measures.items()},
        }

    def __str__(self) -> str:
        single = {name: value for name, value in self.values.items() if np.ndim(value) == 0}
        columns = [name for name in self.values if name not in single]
        width = max(map(len, single))
        lines = [self.about]
        lines += [f"{name:<{width}}  {_cell(value)}{_ends(value, self.intervals.get(name))}" for name, value in single.items()]
        if columns:
            rows = [["class", *(name.removeprefix("class_").replace("_", " ") for name in columns)]]
            empty = {index for index in range(len(self.names)) if all(_says_nothing(self.values[name][index]) for name in columns)}
            for index, name in enumerate(self.names):
                if index in empty:
                    continue
                cells = [_cell(self.values[column][index], self.values[column]) for column in columns]
                ends = self.intervals.get(columns[0])
                cells[0] += _ends(self.values[columns[0]], None if ends is None else ends[index])
                rows.append([name, *cells])
            widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
            signs = "<" + ">" * len(columns)
            lines.append("")
            lines += ["  ".join(map("{:{}{}}".format, row, signs, widths)).rstrip() for row in rows]
            if empty:
                lines += ["", f"nothing of: {few([self.names[index] for index in sorted(empty)], SHOWN)}"]
        return "\n\n".join(("\n".join(lines), *map(str, self.measures.values())))


def _says_nothing(value: Any) -> bool:
    """Whether a class has no such score, or none of what is counted."""
    return value == 0 if np.issubdtype(np.asarray(value).dtype, np.integer) else bool(np.isnan(value))


def _cell(value: Any, column: Any = None) -> str:
    """A count as it is, a score to four decimals, one of a column that goes beyond 1 to two, a dash for nan."""
    if np.issubdtype(np.asarray(value).dtype, np.integer):
        return str(int(value))
    return cell(float(value), 2 if _beyond_one(value if column is None else column) else 4)


def _ends(column: Any, ends: Any) -> str:
    """An interval behind its value."""
    digits = 2 if _beyond_one(column) else 4
    return "" if ends is None else f" [{cell(ends[0], digits)}, {cell(ends[1], digits)}]"


def _beyond_one(values: Any) -> bool:
    """Whether they are distances rather than shares."""
    return bool((np.abs(np.nan_to_num(values)) > 1).any())
