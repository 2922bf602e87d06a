"""Images of any size, window by window: labels leave band by band, and no array is as large as the image but the answer itself.

Two ways to put windows together. "centre": of each window only its middle counts, which is exact for a network that sees no
farther than the rest of the window. "gaussian": where windows overlap their logits are blended, the middle of a window weighing
most (nnU-Net, Isensee et al. 2021, doi 10.1038/s41592-020-01008-z). Blending is done on the network's own coarse grid, which the
windows of one image share because all start at multiples of `GRAIN`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense
from intarsia.core.segments import Segments, narrow
from intarsia.decode._arrays import as_array
from intarsia.decode._windows import GRAIN, Tiling, spans, window
from intarsia.decode.semantic import semantic
from intarsia.ops.cells import argmax_upsampled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.protocols import Image, Predictor, Scorer
    from intarsia.decode._windows import Span

    Labels = NDArray[np.signedinteger[Any]]

__all__ = ["label_bands", "tiled"]

SIGMA = 1 / 8
"""Width of the Gaussian in shares of the window, as in nnU-Net."""
FAINTEST = 1e-3
"""The least weight within a window, of that in its middle."""


def tiled(
    scorer: Scorer, classes: ClassSet, tiling: Tiling | None = None, *, stats: NDArray[np.float32] | None = None
) -> Predictor:
    """Image (H, W, C) of any size -> its class at each pixel; `stats` (C, 2) of the whole image go to every window.

    >>> from intarsia.core import ClassSet
    >>> brightness = lambda image, *, stats=None: Dense(np.stack([100.0 - image[..., 0], image[..., 0]])[None])
    >>> predict = tiled(brightness, ClassSet(("dark", "bright")), Tiling((64, 64)))
    >>> image = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 150, axis=0)  # (150, 200, 1)
    >>> predict(image).areas.tolist()
    [7650.0, 22350.0]
    """
    return partial(_predict, scorer, classes, (tiling or Tiling()).checked(), stats)


def _predict(scorer: Scorer, classes: ClassSet, tiling: Tiling, stats: NDArray[np.float32] | None, image: Image) -> Segments:
    """The bands of one image, put together; at module level, so that a Predictor can be sent to another process."""
    labels = np.empty(image.shape[:-1], narrow(-1, len(classes)))
    for rows, band in label_bands(scorer, image, classes, tiling, stats=stats):
        labels[rows] = band
    return Segments.from_semantic(labels, len(classes))


def label_bands(
    scorer: Scorer, image: Image, classes: ClassSet, tiling: Tiling, *, stats: NDArray[np.float32] | None = None
) -> Iterator[tuple[slice, Labels]]:
    """The rows of each band, from the top, and its labels (rows, W): class index, C for nothing.

    Beyond its last row and column the image is continued by them. Raises InvalidNoun for volumes and, to be blended, for an output
    that is no Dense of one group of classes on a grid that the windows share.
    """
    if len(image.shape) != 3:
        raise InvalidNoun("image", expected="(H, W, C)", received=image.shape)
    tiling = tiling.checked()
    bands = _blended if tiling.blend == "gaussian" else _centres
    yield from bands(partial(scorer, stats=stats), image, classes, *spans(image.shape[:2], tiling))


def _centres(scorer: Any, image: Image, classes: ClassSet, rows: list[Span], columns: list[Span]) -> Iterator[tuple[slice, Labels]]:
    """A band for each row of windows."""
    for down in rows:
        band = np.empty((down.last - down.first, image.shape[1]), narrow(-1, len(classes)))
        for across in columns:
            pixels = window(image, down, across)
            [answer] = semantic(scorer(pixels), [pixels.shape[:2]], classes)
            own = tuple(slice(span.first - span.start, span.last - span.start) for span in (down, across))
            band[:, across.first : across.last] = answer.semantic(len(classes))[own]
        yield slice(down.first, down.last), band


def _blended(scorer: Any, image: Image, classes: ClassSet, rows: list[Span], columns: list[Span]) -> Iterator[tuple[slice, Labels]]:
    """A band for the rows of the grid that no later window touches."""
    height, width = image.shape[:2]
    grid = weights = np.zeros(
        (0, 0, 0), np.float32
    )  # (1 + C, rows, columns): the weights, then the weighted logits, from row `top`
    top = done = 0
    for down, below in zip(rows, [*rows[1:], None], strict=True):
        for across in columns:
            pixels = window(image, down, across)
            logits = _logits(scorer(pixels), classes, pixels.shape[:2])  # (C, h, w)
            grain = pixels.shape[0] // logits.shape[1]
            if not grid.size:
                grid = np.zeros((1 + len(logits), logits.shape[1] + 1, columns[-1].stop // grain), np.float32)
                weights = _bells(*logits.shape[1:])
            first, left = down.start // grain - top, across.start // grain
            here = grid[:, first : first + logits.shape[1], left : left + logits.shape[2]]
            here[0] += weights
            here[1:] += weights * logits
        ready = (below.start if below else down.stop) // grain - top  # rows that no later window reaches
        blended = grid[1:, :ready] / grid[0, :ready]
        stop = int((top + ready - 0.5) * grain) if below else height  # up to the middle of the last row
        labels = argmax_upsampled(blended, (ready * grain, grid.shape[2] * grain))
        yield slice(done, stop), labels[done - top * grain : stop - top * grain, :width]
        kept = grid[:, ready - 1 :].copy()  # the last row also lies at the edge of the next band
        grid[:, : kept.shape[1]], grid[:, kept.shape[1] :] = kept, 0
        top, done = top + ready - 1, stop


def _logits(output: Any, classes: ClassSet, size: tuple[int, ...]) -> NDArray[np.float32]:
    """(C, h, w) of a window of `size`, whose cells are all of so many pixels."""
    if not isinstance(output, Dense) or output.align_corners or len(classes.group_indices) > 1:
        received = type(output).__name__ if not isinstance(output, Dense) else "another"
        raise InvalidNoun(
            "gaussian", expected="Dense of one group of classes, its corners not aligned", received=received, hint="Take centre."
        )
    logits: NDArray[np.float32] = as_array("logits", output.logits)[0]  # (1, C, h, w) -> (C, h, w)
    grains = {pixels / cells for pixels, cells in zip(size, logits.shape[1:], strict=True)}
    if len(grains) > 1 or not min(grains).is_integer() or GRAIN % min(grains):
        raise InvalidNoun("gaussian", expected=f"cells of 1, 2, 4 ... {GRAIN} pixels", received=f"{logits.shape[1:]} of {size}")
    return logits


def _bells(height: int, width: int) -> NDArray[np.float32]:
    """(height, width) how much each cell of a window weighs."""
    down, across = (np.exp(-0.5 * (((np.arange(length) + 0.5) / length - 0.5) / SIGMA) ** 2) for length in (height, width))
    bells: NDArray[np.float32] = np.maximum(down[:, None] * across, FAINTEST).astype(np.float32)
    return bells
