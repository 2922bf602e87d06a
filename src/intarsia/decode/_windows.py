"""Windows: how an image of any size is cut into pieces that a network can be shown."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core.protocols import Image

__all__ = ["GRAIN", "Span", "Tiling", "spans", "window"]

GRAIN = 32
"""Pixels that windows start at multiples of: the coarsest stride of the networks here."""


class Tiling(NamedTuple):
    """How an image is cut into windows."""

    tile: tuple[int, int] = (512, 512)
    """(H, W) of a window, in pixels, multiples of 32."""
    overlap: float = 0.25
    """The share of a window that it has in common with the next one, at least."""
    blend: Literal["centre", "gaussian"] = "centre"

    def checked(self) -> Tiling:
        """Itself. Raises OptionError for values that cannot be."""
        if min(self.tile) < GRAIN or any(length % GRAIN for length in self.tile):
            raise OptionError("tile", expected=f"height and width, multiples of {GRAIN}", received=self.tile)
        if not 0 <= self.overlap < 1 or any(_step(length, self.overlap) < GRAIN for length in self.tile):
            raise OptionError("overlap", expected=f"a share from 0 on that leaves a step of {GRAIN} pixels", received=self.overlap)
        if self.blend not in ("centre", "gaussian"):
            raise OptionError("blend", expected="centre or gaussian", received=self.blend)
        return self


class Span(NamedTuple):
    """A window along one axis, and which of its pixels count."""

    start: int
    stop: int
    first: int
    """Of the pixels that are its own, counted from the image's edge."""
    last: int
    """One beyond them."""
    inside: int
    """Where the window, or the image, ends."""


def _step(tile: int, overlap: float) -> int:
    return int(tile * (1 - overlap)) // GRAIN * GRAIN


def spans(size: tuple[int, ...], tiling: Tiling) -> tuple[list[Span], list[Span]]:
    """The windows of an image (H, W), down and across: all of one size, the last of each may reach beyond the image.

    >>> down, across = spans((32, 100), Tiling((64, 64), 0.5))
    >>> [(span.start, span.stop, span.first, span.last) for span in across]
    [(0, 64, 0, 48), (32, 96, 48, 80), (64, 128, 80, 100)]
    """
    down, across = (_along(length, tile, tiling.overlap) for length, tile in zip(size, tiling.tile, strict=True))
    return down, across


def _along(length: int, tile: int, overlap: float) -> list[Span]:
    """Those along an axis, which meet in the middle of what two see."""
    whole = -(-length // GRAIN) * GRAIN
    tile = min(tile, whole)
    starts = [*range(0, whole - tile, _step(tile, overlap) or GRAIN), whole - tile]
    meets = [0, *((before + tile + after) // 2 for before, after in pairwise(starts)), length]
    ends = [(start, start + tile) for start in starts]
    return [Span(*end, first, last, min(end[1], length)) for end, (first, last) in zip(ends, pairwise(meets), strict=True)]


def window(image: Image, down: Span, across: Span) -> NDArray[Any]:
    """The pixels of a window, whose edge is repeated where it reaches beyond the image."""
    pixels = image[down.start : down.stop, across.start : across.stop]
    beyond = [(0, span.stop - span.start - length) for span, length in zip((down, across), pixels.shape[:2], strict=True)]
    return np.pad(pixels, (*beyond, (0, 0)), mode="edge") if any(after for _, after in beyond) else pixels
