"""Which class is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.draw._plots import blank, rendered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet

__all__ = ["confusion_picture"]

ANNOTATED = 20
"""Classes up to which the numbers are written into the cells."""
NAMED = 60
"""Classes up to which the names are written; above, only every so many."""


def confusion_picture(matrix: NDArray[Any], classes: ClassSet) -> NDArray[np.uint8]:
    """(H, W, 3) the share of each true class's pixels (row) that got each answer (column), in percent; the diagonal is the recall.

    `matrix` holds pixels: (C, C), or with a further row for nothing and further columns for nothing and void, which are shown where
    they are not empty. A class without pixels has an empty row. Raises InvalidNoun for other shapes.
    """
    count = len(classes)
    shapes = (count, count), (count + 1, count + 2)
    if matrix.shape not in shapes:
        raise InvalidNoun("confusion matrix", expected=f"shape {shapes[0]} or {shapes[1]}", received=matrix.shape)
    names = [*classes.names, "nothing", "void"]
    rows = [row for row in range(matrix.shape[0]) if row < count or matrix[row].any()]
    columns = [column for column in range(matrix.shape[1]) if column < count or matrix[:, column].any()]
    kept = matrix[np.ix_(rows, columns)].astype(np.float64)
    total = kept.sum(axis=1, keepdims=True)
    share = np.divide(kept, total, out=np.full_like(kept, np.nan), where=total > 0)
    side = min(15.0, 3.0 + 0.42 * len(columns))
    figure = blank(side, side)
    axes = figure.subplots()
    drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_facecolor("#eeeeee")  # seen where a share is nan
    step = -(-len(columns) // NAMED)
    size = 9 if len(columns) <= 30 else 7
    axes.set_xticks(range(0, len(columns), step), [names[column] for column in columns[::step]], rotation=90, fontsize=size)
    axes.set_yticks(range(0, len(rows), step), [names[row] for row in rows[::step]], fontsize=size)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_title("percent of each true class", loc="left", fontsize=11, fontweight="bold")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if len(columns) <= ANNOTATED:
        for (row, column), value in np.ndenumerate(share):
            if value >= 0.0005:
                text = f"{value * 100:.0f}" if value >= 0.0095 else "<1"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if value > 0.55 else "#333333")
    else:
        figure.colorbar(drawn, ax=axes, fraction=0.04, pad=0.02, format=lambda value, _: f"{value * 100:.0f}")
    return rendered(figure)
