"""The classes as an indexed picture: the colours are for the eye, the pixel values for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
from PIL import Image

from intarsia.core.errors import InvalidNoun, OptionError, nearest
from intarsia.draw._colours import NOTHING, VOID, By, top_rows

if TYPE_CHECKING:
    from intarsia.core import ClassSet, Segments

__all__ = ["label_map"]

INDEXED = 254
"""Classes up to which a byte holds their ids, void and nothing."""
NUMBERED = 65534
"""Objects that 16 bits number, 0 being nothing and the highest void."""


def label_map(segments: Segments, classes: ClassSet, *, by: By = "class") -> Image.Image:
    """A Pillow image (H, W) whose pixel values are class ids, 255 void, 254 nothing; its palette holds the classes' colours.

    Above 254 classes it is 16-bit grey without colours, 65535 void, 65534 nothing. By "object" it is 16-bit grey as well: row k is
    k + 1, nothing 0, void 65535; where objects overlap the highest score wins, then the later row. `draw.save` writes it as PNG.
    Raises InvalidNoun for a volume, which no picture file holds, for classes that are not in the set and for too many objects.

    >>> from intarsia.core import ClassSet, Segments
    >>> picture = label_map(Segments([[[1, 2, -1, 0]]], [1, 0]), ClassSet(("sky", "road")))
    >>> picture.mode, np.asarray(picture).tolist(), picture.getpalette()[:6]
    ('P', [[1, 0, 255, 254]], [128, 0, 0, 0, 128, 0])
    """
    if len(segments.size) != 2:
        raise InvalidNoun("label map", expected="segments of size (H, W)", received=segments.size, hint="Give it one slice.")
    if by not in get_args(By):
        raise OptionError("by", expected="object or class", received=repr(by), hint=nearest(str(by), get_args(By)))
    if by == "object":
        if len(segments) > NUMBERED:
            raise InvalidNoun("label map", expected=f"at most {NUMBERED} objects", received=len(segments))
        numbers = np.arange(1, len(segments) + 3).astype(np.uint16)  # by row, then nothing, then void
        numbers[-2:] = 0, 65535
        return Image.fromarray(numbers.take(top_rows(segments), mode="wrap"))
    dtype, top = (np.uint8, 255) if len(classes) <= INDEXED else (np.uint16, 65535)
    table = np.arange(len(classes) + 2).astype(dtype)  # by class, then nothing, then void
    table[-2:] = top - 1, top
    picture = Image.fromarray(table.take(segments.semantic(len(classes)), mode="wrap"))
    if dtype == np.uint8:
        palette: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.zeros((256, 3), np.uint8)
        palette[: len(classes)] = classes.colours
        palette[254:] = NOTHING, VOID
        picture.putpalette(palette.tobytes())  # makes a grey picture an indexed one, values unchanged
    return picture
