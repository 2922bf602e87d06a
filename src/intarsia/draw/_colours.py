"""Which colour a segment has in every picture of this folder."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from intarsia.core import Segments
from intarsia.core.errors import OptionError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet

__all__ = ["NOTHING", "VOID", "By", "flat", "painted", "row_colours", "top_rows"]

VOID = (0, 0, 0)
NOTHING = (70, 70, 70)
By = Literal["object", "class"]


def flat(segments: Segments) -> Segments:
    """Those of the middle slice of a volume; a plane's own."""
    return segments if len(segments.size) == 2 else segments.with_ids(segments.ids[:, segments.size[0] // 2])


def top_rows(segments: Segments) -> NDArray[np.signedinteger[Any]]:
    """(H, W) the row seen at each pixel, N nothing, -1 void: the rule of `Segments.semantic`, each row being its own class."""
    return Segments(segments.ids, np.arange(len(segments)), scores=segments.scores).semantic(len(segments))


def row_colours(segments: Segments, classes: ClassSet, by: By = "object") -> NDArray[np.uint8]:
    """(N + 2, 3) a colour per row, then nothing, then void, to be indexed by `top_rows`.

    By "class" each row has its class's colour. By "object" the first object of a thing has it and further ones have neighbours of
    it, lighter, darker and of a shifted hue, so that objects differ and classes are still told.
    """
    if by not in get_args(By):
        raise OptionError("by", expected="object or class", received=repr(by), hint=nearest(str(by), get_args(By)))
    segments.check_classes(len(classes))
    table: NDArray[np.uint8] = np.zeros((len(segments) + 2, 3), np.uint8)
    table[:-2] = np.array(classes.colours, np.uint8)[segments.classes]
    table[-2:] = NOTHING, VOID
    if by == "object":
        seen: dict[int, int] = {}
        for row, index in enumerate(segments.classes.tolist()):
            number = seen[index] = seen.get(index, -1) + 1
            if number and classes.names[index] in classes.things:
                table[row] = _sibling(classes.colours[index], number)
    return table


def painted(segments: Segments, classes: ClassSet, by: By = "object") -> NDArray[np.uint8]:
    """(H, W, 3) the segments as flat colours, nothing dark grey, void black."""
    return row_colours(segments, classes, by).take(top_rows(segments), axis=0, mode="wrap")


def _sibling(colour: tuple[int, int, int], number: int) -> tuple[int, int, int]:
    """The colour of object `number` of a class: hue and lightness walk about the class's own by golden steps."""
    hue, light, strength = colorsys.rgb_to_hls(*(value / 255 for value in colour))
    step = number * 0.618034 % 1
    around = 0.3 + 0.45 * (number * 0.381966 % 1)  # 0.3 to 0.75: never black, never white
    red, green, blue = colorsys.hls_to_rgb((hue + 0.12 * (step - 0.5)) % 1, 0.3 * light + 0.7 * around, max(strength, 0.25))
    return round(red * 255), round(green * 255), round(blue * 255)
