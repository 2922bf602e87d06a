"""Rows of names and values as aligned columns."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["models_table", "table"]

GAP = 2
LEAST = 20
"""The least width that the last column is folded to."""


def models_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `intarsia.list_models` gives, for people: our networks, then those that others have trained."""
    parts = []
    for kind, title in (("network", ""), ("pretrained", "Trained by others: intarsia.load(NAME), intarsia predict NAME ...")):
        some = [row for row in rows if row["kind"] == kind]
        if some:
            shown = table([_readable(row) for row in some], right=("parameters", "mult-adds", "ms", "MiB"), width=_width())
            parts.append("\n".join(filter(None, (title, shown))))
    notes = [f"{row['name']}: {row['refused']}" for row in rows if "refused" in row]
    counted = "Parameters and multiply-adds: 3 channels in, 11 classes out, one image of 480x360; convolutions and matrix products."
    if any(row["multiply_adds"] for row in rows):
        notes.append(counted)
    measured = next((row for row in rows if "latency_ms" in row), None)
    if measured is not None:
        notes.append("ms: median of a prediction on {device}, {precision}, threads: {threads}.".format(**measured))
    folded = (textwrap.fill(note, _width()) for note in notes)
    return "\n\n".join([*parts, "\n".join(folded)] if notes else parts) or "none"


def _readable(row: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a row in the order of the columns; those it does not have are empty, and then left out."""
    licences = row["licences"]
    memory = row.get("memory_mib")
    return {
        "name": row["name"],
        "network": row.get("network") or "",
        "encoder": row.get("encoder") or "",
        "parameters": "" if row["parameters"] is None else f"{row['parameters'] / 1e6:.1f} M",
        "mult-adds": "" if row["multiply_adds"] is None else f"{row['multiply_adds'] / 1e9:.1f} G",
        "ms": f"{row['latency_ms']:.1f}" if "latency_ms" in row else "",
        "MiB": "" if memory is None else f"{memory:.0f}",
        "task": row["task"],
        "exports": " ".join(row["exports"]),
        "code": licences["code"],
        "weights": licences["weights"],
        "data": "" if licences["data"] == "none" else licences["data"],
        "origin": row["origin"],
    }


def table(rows: Sequence[Mapping[str, str]], *, right: Sequence[str] = (), width: int) -> str:
    """Rows under the names of their columns, the last folded where it would pass `width`. A column without any value is left out;
    of several rows, a value that all share is told once, below.

    >>> print(table([{"name": "a", "size": "9 M", "for": "roads"}, {"name": "bc", "size": "10 M", "for": "roads"}],
    ...             right=["size"], width=80))
    name  size
    a      9 M
    bc    10 M
    all   for: roads
    """
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    shared = {name: rows[0][name] for name in names if len(rows) > 1 and len({row[name] for row in rows}) == 1}
    names = [name for name in names if name not in shared]
    lines = [{name: name for name in names}, *rows]
    widths = {name: max(len(line[name]) for line in lines) for name in names}
    room = max(LEAST, width - sum(widths[name] + GAP for name in names[:-1]))
    shown = []
    for line in lines:
        *first, last = names
        cells = [line[name].rjust(widths[name]) if name in right else line[name].ljust(widths[name]) for name in first]
        folded = textwrap.wrap(line[last].rjust(widths[last]) if last in right else line[last], room) or [""]
        indent = " " * sum(len(cell) + GAP for cell in cells)
        shown += [(" " * GAP).join([*cells, folded[0]]).rstrip(), *(indent + more for more in folded[1:])]
    if shared:
        said = "; ".join(f"{name}: {value}" for name, value in shared.items())
        label = "all".ljust(widths[names[0]]) + " " * GAP
        shown += textwrap.wrap(said, width, initial_indent=label, subsequent_indent=" " * len(label))
    return "\n".join(shown)


def _width() -> int:
    """That of the terminal; a pipe takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000
