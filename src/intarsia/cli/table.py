"""Rows of names and values as aligned columns."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from intarsia.core.licences import Licences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["models_table", "table"]

GAP = 2
LABEL = 6
"""How far what stands below is moved in."""
LEAST = 36
"""The least width that the last column is folded to."""
PLACES = {
    "": "",
    "torchvision": 'Trained by torchvision, as in intarsia.load("torchvision:fcn_resnet50"):',
    "torchvision, objects": 'Trained by torchvision to find objects, as in intarsia.load("torchvision:maskrcnn_resnet50_fpn"):',
    "hf": 'On the Hugging Face hub, as in intarsia.load("hf:openmmlab/upernet-convnext-tiny"); other SegFormers, UPerNets and '
    "Mask2Formers of transformers too, and EoMTs:",
}
"""Where networks come from, by what stands in front of their names."""
COUNTED = (
    "Parameters (params) and multiply-adds: for 3 channels in, 11 classes out (of a trained network its own) and one image of "
    "480x360; only convolutions and matrix products are counted."
)
WEIGHTS = (
    "Timm weights: the licence of those that --weights timm fetches for the encoder, none where timm has none. Without them only "
    "that of the code binds."
)
MEASURED = "ms: median of a prediction, from the image to labels at its size, on {device}, {precision}, threads: {threads}."
KEPT = ("code", "timm weights")
"""The columns that stand there even where all values are alike, so that a filter does not move them."""


def models_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `intarsia.list_models` gives, for people: our networks, then those that others have trained."""
    parts = []
    for place, title in PLACES.items():
        some = [_cells(row) for row in rows if "refused" not in row and _place(row) == place]
        if some:
            shown = table(some, right=("params", "mult-adds", "ms", "MiB"), kept=KEPT, width=_width())
            parts.append("\n".join(filter(None, ("\n".join(_folded(title, _width())), shown))))
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if "refused" in row:
            reasons.setdefault(row["refused"], []).append(row["name"])
    notes = [f"Not {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if any(row["multiply_adds"] for row in rows):
        notes.append(COUNTED)
    if any(row["kind"] == "network" for row in rows):
        notes.append(WEIGHTS)
    measured = next((row for row in rows if "latency_ms" in row), None)
    if measured is not None:
        notes.append(MEASURED.format(**measured))
    if notes:
        parts.append("\n".join(line for note in notes for line in _folded(note, _width())))
    return "\n\n".join(parts)


def _place(row: Mapping[str, Any]) -> str:
    """Which of PLACES a row stands in."""
    if row["kind"] != "pretrained":
        return ""
    place: str = row["name"].partition(":")[0]
    return f"{place}, objects" if f"{place}, objects" in PLACES and row["task"].startswith("instance") else place


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """A row in the order of the columns; what it does not have is empty."""
    licences, memory = row["licences"], row.get("memory_mib")
    size = {
        "params": "" if row["parameters"] is None else f"{row['parameters'] / 1e6:.1f} M",
        "mult-adds": "" if row["multiply_adds"] is None else f"{row['multiply_adds'] / 1e9:.1f} G",
        "ms": f"{row['latency_ms']:.1f}" if "latency_ms" in row else "",
        "MiB": "" if memory is None else f"{memory:.0f}",
    }
    if row["kind"] == "pretrained":  # what it is for, and by which routes it leaves, its network tells above
        return {"name": row["name"], "network": row["network"], **size, "licences": str(Licences(**licences))}
    use = f"{row['task'].replace(' ', ', ')}; exports {', '.join(row['exports']) or 'none'}"
    return {
        "name": row["name"],
        **size,
        "code": licences["code"],
        "timm weights": (row.get("timm_weights") or "none") if row["encoder"] else "-",
        "about": f"on {row['encoder']}; {use}; {row['origin']}" if row["encoder"] else f"{use}; {row['origin']}",
    }


def table(rows: Sequence[Mapping[str, str]], *, right: Sequence[str] = (), kept: Sequence[str] = (), width: int) -> str:
    """Rows under the names of their columns, within `width`: the last column is folded, or where hardly any room is left for it,
    stands below. A column without any value is left out; of several rows, a value that all share is told once, at the end,
    but for those of the columns `kept`.

    >>> print(table([{"name": "a", "size": "9 M", "for": "roads"}, {"name": "bc", "size": "10 M", "for": "roads"}],
    ...             right=["size"], width=80))
    name  size
    a      9 M
    bc    10 M
    all   for: roads
    """
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    alike = [name for name in names if len({row[name] for row in rows}) == 1 and name not in kept]
    shared = {name: rows[0][name] for name in alike if len(rows) > 1}
    *first, last = (name for name in names if name not in shared)
    lines = [{name: name for name in names}, *rows]
    widths = {name: max(len(line[name]) for line in lines) for name in first}
    indent = sum(widths[name] + GAP for name in first)
    below = width - indent < min(LEAST, max(len(line[last]) for line in lines))
    shown = []
    for line in lines:
        cells = [line[name].rjust(widths[name]) if name in right else line[name].ljust(widths[name]) for name in first]
        folded = _folded(line[last], width - (LABEL if below else indent)) or [""]
        if last in right and not below:
            folded = [folded[0].rjust(max(len(other[last]) for other in lines))]
        start = (" " * GAP).join(cells)
        shown += (
            [start.rstrip(), *(" " * LABEL + part for part in folded)]
            if below
            else [(start + " " * GAP + folded[0]).rstrip(), *(" " * indent + part for part in folded[1:])]
        )
    if shared:
        said = "; ".join(f"{name}: {value}" for name, value in shared.items())
        label, margin = "all".ljust(LABEL), " " * LABEL
        shown += [(margin if number else label) + part for number, part in enumerate(_folded(said, width - LABEL))]
    return "\n".join(line.rstrip() for line in shown)


def _folded(text: str, width: int) -> list[str]:
    """Lines of at most `width`, names with a hyphen kept whole."""
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _width() -> int:
    """That of the terminal; a pipe takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000
