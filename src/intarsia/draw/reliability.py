"""Whether a network is as often right as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.draw._plots import COLOURS, blank, polished, rendered

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["reliability"]


def reliability(bins: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W, 3) the reliability diagram: per bin of confidence the share of right answers, and below it the share of pixels.

    `bins` (K, 3) are equal bins over 0..1: pixels, share of them that are right, mean confidence, the last two nan where a bin is
    empty. On the diagonal answers are right as often as they say; bars below it are overconfident. The title holds the expected
    calibration error. Raises InvalidNoun for another shape.
    """
    bins = np.asarray(bins, np.float64)
    if bins.ndim != 2 or bins.shape[1] != 3 or not len(bins):
        raise InvalidNoun("reliability bins", expected="shape (K, 3)", received=bins.shape)
    pixels, right, sure = bins.T  # (K,) each
    share = pixels / max(pixels.sum(), 1)
    full = pixels > 0
    width = 1 / len(bins)
    middle = (np.arange(len(bins)) + 0.5) * width
    figure = blank(5.2, 6.2)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    error = float((share * np.abs(right - sure))[full].sum())
    polished(axes, f"expected calibration error {error:.3f}")
    axes.set_axisbelow(True)
    axes.bar(middle[full], right[full], width * 0.92, color=COLOURS[0], label="right answers")
    gap = (sure - right)[full]
    axes.bar(
        middle[full], gap, width * 0.92, right[full], color=COLOURS[1], alpha=0.3, edgecolor=COLOURS[1], label="gap to confidence"
    )
    axes.plot([0, 1], [0, 1], color="#333333", linewidth=1, linestyle="--", label="as often right as it says")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of right answers")
    axes.set_aspect("auto")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    polished(below, "")
    below.bar(middle, share, width * 0.92, color=COLOURS[5])
    below.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence of the answer", ylabel="share of pixels")
    return rendered(figure)
