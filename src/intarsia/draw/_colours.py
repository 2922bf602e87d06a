"""Which colour a segment has in every picture of this folder."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import cv2
import numpy as np

from intarsia.core import Segments
from intarsia.core.errors import OptionError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from intarsia.core import ClassSet

    Colour = tuple[int, int, int]

__all__ = ["NOTHING", "VOID", "By", "flat", "lifted", "painted", "row_colours", "top_rows"]

VOID = (0, 0, 0)
NOTHING = (70, 70, 70)
By = Literal["object", "class"]
APART = 40.0
"""CIE76 difference from which on two colours are far enough from each other; further is no better."""
NEAR = 0.02
"""How far from an object its neighbours are looked for, in shares of the picture's longer side."""
SIBLINGS, MOST = 32, 4096
"""Colours of the objects of a class to choose from, and where that many neighbours meet."""


def flat(segments: Segments) -> Segments:
    """Those of the middle slice of a volume; a plane's own."""
    return segments if len(segments.size) == 2 else segments.with_ids(segments.ids[:, segments.size[0] // 2])


def top_rows(segments: Segments) -> NDArray[np.signedinteger[Any]]:
    """(H, W) the row seen at each pixel, N nothing, -1 void: the rule of `Segments.semantic`, each row being its own class."""
    return Segments(segments.ids, np.arange(len(segments)), scores=segments.scores).semantic(len(segments))


def row_colours(
    segments: Segments, classes: ClassSet, by: By = "object", given: Mapping[int, NDArray[np.uint8]] | None = None
) -> NDArray[np.uint8]:
    """(N + 2, 3) a colour per row, then nothing, then void, to be indexed by `top_rows`.

    By "class" each row has its class's colour. By "object" the first object of a thing has it and further ones have neighbours of
    it, lighter, darker and of a shifted hue, so that classes are still told; where there is one thing and little else, all hues.
    Objects that lie side by side or overlap are coloured as far apart as the class allows, and never alike. `given` names the
    colours of some rows.
    """
    if by not in get_args(By):
        raise OptionError("by", expected="object or class", received=repr(by), hint=nearest(str(by), get_args(By)))
    segments.check_classes(len(classes))
    table: NDArray[np.uint8] = np.zeros((len(segments) + 2, 3), np.uint8)
    table[:-2] = np.array(classes.colours, np.uint8)[segments.classes]
    table[-2:] = NOTHING, VOID
    if by == "object":
        for row, colour in (given or {}).items():
            table[row] = colour
        _tell_apart(table, segments, classes, set(given or {}))
    return table


def painted(segments: Segments, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) the segments as flat colours of `row_colours`, nothing dark grey, void black."""
    return table.take(top_rows(segments), axis=0, mode="wrap")


def lifted(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours (N, 3) for thin lines: those too dark to be seen at full strength, a quarter of the way to white."""
    colours = table.astype(np.float64)
    dark = colours @ (0.3, 0.59, 0.11) < 110
    strong = colours * 255 / np.maximum(colours.max(axis=1, keepdims=True), 1)
    return np.where(dark[:, None], 0.75 * strong + 64, colours).round().astype(np.uint8)


def _tell_apart(table: NDArray[np.uint8], segments: Segments, classes: ClassSet, done: set[int]) -> None:
    """Colours the things in `table`, one after the other, each unlike those near it that have a colour, and the least used."""
    boxes = Segments(segments.ids, segments.classes).boxes  # of the pixels: a file's own may be elsewhere
    margin = max(1.0, NEAR * max(segments.size))
    low, high = boxes[:, :2] - margin, boxes[:, 2:] + margin
    wide = len(classes.things) == 1 and len(classes) <= 2
    used: dict[int, NDArray[np.intp]] = {}
    told = np.isin(np.arange(len(segments)), list(done))
    for row in np.flatnonzero(classes.is_thing[segments.classes] & ~told).tolist():
        index = int(segments.classes[row])
        near = told & (low <= boxes[row, 2:]).all(axis=1) & (high >= boxes[row, :2]).all(axis=1)
        taken, count = _lab(table[:-2][near]), SIBLINGS  # (M, 3)
        while True:
            choice = _siblings(classes.colours[index], count, wide)
            gaps = np.linalg.norm(_lab(choice)[:, None] - taken[None], axis=-1)  # (K, 1, 3) - (1, M, 3) -> (K, M)
            gap = gaps.min(axis=1, initial=APART)
            if gap.max() > 0 or count == MOST:
                break
            count *= 2
        counts = used.setdefault(index, np.zeros(MOST, np.intp))
        best = np.flatnonzero(gap == gap.max())
        chosen = best[counts[best].argmin()]
        counts[chosen] += 1
        table[row], told[row] = choice[chosen], True


@lru_cache(512)
def _siblings(colour: Colour, count: int, wide: bool) -> NDArray[np.uint8]:
    """(count, 3) the colour itself, then others: hue, lightness and strength walk about its own, or all round, by golden steps."""
    hue, light, strength = colorsys.rgb_to_hls(*(value / 255 for value in colour))
    found = [tuple(value / 255 for value in colour)]
    for number in range(1, count):
        turn, around, weaker = (number * step % 1 for step in (0.618034, 0.381966, 0.754878))
        if wide:
            found.append(colorsys.hls_to_rgb((hue + turn) % 1, 0.4 + 0.3 * around, max(strength, 0.75)))
        else:  # never black, never white
            middle = 0.1 * light + 0.9 * (0.25 + 0.55 * around)
            found.append(colorsys.hls_to_rgb((hue + 0.2 * (turn - 0.5)) % 1, middle, max(strength, 0.5) * (1 - weaker / 2)))
    return (255 * np.array(found)).round().astype(np.uint8)


def _lab(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 3) RGB to CIE L*a*b*."""
    if not len(colours):
        return np.zeros((0, 3), np.float32)
    lab: NDArray[np.float32] = cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    return lab
