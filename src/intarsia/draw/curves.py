"""How a training went, and where its learning rate should lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.draw._plots import COLOURS, blank, polished, rendered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["curves", "lr_curve"]


def curves(rows: Sequence[Mapping[str, Any]], headline: str = "mean_iou") -> NDArray[np.uint8]:
    """(H, W, 3) loss, validation scores and learning rate over the epochs, the best of the score `headline` marked.

    `rows` are those of the history, one per epoch, as numbers or as text from the CSV: "epoch", any column with "loss" in its name,
    "lr", and "val_" for scores 0..1. Columns may be missing from some rows; others are left out.
    """
    panels = {
        "loss": [name for name in _columns(rows) if "loss" in name],
        "validation": [name for name in _columns(rows) if name.startswith("val_") and "loss" not in name],
        "learning rate": [name for name in _columns(rows) if name == "lr"],
    }
    panels = {title: names for title, names in panels.items() if names} or {"no epoch has ended yet": []}
    figure = blank(4.6 * len(panels), 3.6)
    for axes, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        polished(axes, title)
        axes.set_xlabel("epoch")
        for name, colour in zip(names, COLOURS * (1 + len(names) // len(COLOURS)), strict=False):
            epochs, values = _series(rows, name)
            label = name.removeprefix("val_").replace("_", " ").replace("iou", "IoU")
            axes.plot(
                epochs, values, color=colour, linewidth=1.8, label=label, marker="o" if len(values) < 25 else None, markersize=3
            )
            if name == f"val_{headline}" and len(values) and np.isfinite(values).any():
                best = int(np.nanargmax(values))
                axes.plot(epochs[best], values[best], "o", color=colour, markersize=9, fillstyle="none", markeredgewidth=1.8)
                axes.annotate(
                    f"{values[best]:.3f}", (epochs[best], values[best]), (0, 9), textcoords="offset points", ha="center", fontsize=9
                )
        if title == "validation":
            axes.margins(y=0.14)
        if title == "learning rate":
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        if len(names) > 1 or title == "validation":
            axes.legend(frameon=False, fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return rendered(figure)


def lr_curve(
    rates: NDArray[np.floating[Any]], losses: NDArray[np.floating[Any]], suggestions: Mapping[str, float] | None = None
) -> NDArray[np.uint8]:
    """(H, W, 3) the loss (K,) at each learning rate (K,) of a range test, rates on a log axis, suggested ones marked by name."""
    figure = blank(6.6, 4.2)
    axes = figure.subplots()
    polished(axes, "learning-rate range test")
    axes.plot(rates, losses, color=COLOURS[0], linewidth=2)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss, smoothed")
    finite = losses[np.isfinite(losses)]
    if len(finite):  # what blows up at the end must not flatten the rest
        low, high = float(finite.min()), float(np.max(finite[: max(1, len(finite) // 2)]))
        margin = 0.15 * max(high - low, 1e-6)
        axes.set_ylim(low - margin, high + 2 * margin)
    for (name, rate), colour in zip((suggestions or {}).items(), COLOURS[1:], strict=False):
        loss = float(losses[int(np.abs(np.log(rates) - np.log(rate)).argmin())])
        axes.axvline(rate, color=colour, linewidth=1, linestyle=":")
        axes.plot(rate, loss, "o", color=colour, markersize=8, label=f"{name}  {rate:.2g}")
    if suggestions:
        axes.legend(frameon=False)
    return rendered(figure)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs and values (K,) of a column, where it holds something."""
    pairs = [(row.get("epoch", number), row[name]) for number, row in enumerate(rows, 1) if row.get(name) not in (None, "")]
    table = np.array(pairs, np.float64).reshape(-1, 2)  # (K, 2)
    return table[:, 0], table[:, 1]
