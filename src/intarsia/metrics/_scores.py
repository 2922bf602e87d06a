"""The scores of a further measure, as a record that prints, and goes into JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.metrics._semantic_scores import brackets, cell, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Scores"]


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

    def __getitem__(self, name: str) -> Any:
        """One of `values`."""
        return self.values[name]

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
        }

    def __str__(self) -> str:
        single = {name: value for name, value in self.values.items() if np.ndim(value) == 0}
        columns = [name for name in self.values if name not in single]
        width = max(map(len, single))
        lines = [self.about]
        lines += [f"{name:<{width}}  {cell(value)}{brackets(self.intervals.get(name))}" for name, value in single.items()]
        if columns:
            rows = [["class", *(name.replace("_", " ") for name in columns)]]
            for index, name in enumerate(self.names):
                first = brackets(self.intervals[columns[0]][index]) if columns[0] in self.intervals else ""
                cells = [_cell(self.values[column][index]) for column in columns]
                rows.append([name, cells[0] + first, *cells[1:]])
            widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
            lines.append("")
            lines += ["  ".join(f"{text:<{size}}" for text, size in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)


def _cell(value: Any) -> str:
    """A count as it is, a score to four decimals, a dash for nan."""
    return str(int(value)) if np.issubdtype(np.asarray(value).dtype, np.integer) else cell(float(value))
