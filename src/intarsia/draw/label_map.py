"""The classes as an indexed picture: the colours are for the eye, the pixel values for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from intarsia.core.errors import InvalidNoun
from intarsia.draw._colours import NOTHING, VOID

if TYPE_CHECKING:
    from intarsia.core import ClassSet, Segments

__all__ = ["label_map"]

INDEXED = 254
"""Classes up to which a byte holds their ids, void and nothing."""


def label_map(segments: Segments, classes: ClassSet) -> Image.Image:
    """A Pillow image (H, W) whose pixel values are class ids, 255 void, 254 nothing; its palette holds the classes' colours.

    Above 254 classes it is 16-bit grey without colours, 65535 void, 65534 nothing. `draw.save` writes it as PNG.
    Raises InvalidNoun for a volume, which no picture file holds, and for classes that are not in the set.

    >>> from intarsia.core import ClassSet, Segments
    >>> picture = label_map(Segments([[[1, 2, -1, 0]]], [1, 0]), ClassSet(("sky", "road")))
    >>> picture.mode, np.asarray(picture).tolist(), picture.getpalette()[:6]
    ('P', [[1, 0, 255, 254]], [128, 0, 0, 0, 128, 0])
    """
    if len(segments.size) != 2:
        raise InvalidNoun("label map", expected="segments of size (H, W)", received=segments.size, hint="Give it one slice.")
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
