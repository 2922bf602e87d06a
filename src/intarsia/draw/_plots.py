"""What the matplotlib pictures share: a figure of its own, no global state, no window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLOURS", "blank", "polished", "rendered"]

COLOURS = ("#2f6db5", "#d9482b", "#3a9a5b", "#8a5fb0", "#c58b1a", "#5c6670")


def blank(width: float, height: float) -> Any:
    """A figure of so many inches at 110 dots each, laid out so that no text is cut."""
    from matplotlib.figure import Figure  # half a second, which evaluate need not wait for

    return Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")


def polished(axes: Any, title: str) -> None:
    """Quiet frame, quiet grid."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.8)


def rendered(figure: Any) -> NDArray[np.uint8]:
    """(H, W, 3) the figure as pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])  # (H, W, 4) -> (H, W, 3)
