"""What label files without a class file mean, told by their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import DataError, UnreadableFile
from intarsia.data.coding import Coding
from intarsia.data.dataset import evenly_spaced
from intarsia.data.images import read_labels
from intarsia.data.label_files import OBJECT_VOID, IdLabels, ObjectLabels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["inferred"]

LOOKED_AT = 64
"""Label files that are looked at, evenly spaced."""
WHOLE = 1.3
"""Connected parts of a value, on average, up to which values number objects rather than name classes."""
CLASSES_TXT = "Write codes.txt with one class name per line to name them."


def inferred(labels: Sequence[Path]) -> tuple[Coding, IdLabels | ObjectLabels, str] | None:
    """The coding, the reader and a sentence for people; None where the files hold no ids.

    Two values, the lower 0, are background and foreground. Values that are 1 to N in each file, with another N in most, each in one
    piece, number objects. Else each value is a class, 255 void where it is not the only one beside 0.
    """
    picked = [labels[place] for place in evenly_spaced(len(labels), LOOKED_AT)]
    maps = []
    for path in picked:
        try:
            maps.append(read_labels(path))
        except UnreadableFile:  # a corrupt file: the others tell
            continue
        except DataError:
            return None
    values = sorted({int(value) for one in maps for value in np.unique(one)})
    if not values or values[0] < 0 or len(values) > OBJECT_VOID:
        return None
    if values in ([0, 1], [0, 255], [0], [255]):
        other = max(values) or 1
        coding = Coding(ClassSet(("background", "foreground"), ((0, 0, 0), (128, 0, 0))), (0, other))
        return (
            coding,
            IdLabels(coding),
            f"No class file: 0 in the masks is taken for background, {other} for foreground. {_naming(coding)}",
        )
    if _number_objects(maps):
        coding = Coding.from_classes(ClassSet(("object",), things=("object",), nothing=True))
        return coding, ObjectLabels(), "No class file: the masks number objects, of one class; objects='cell' names it."
    ids = [value for value in values if value != 255]
    coding = Coding(ClassSet(tuple(f"class {value}" for value in ids)), tuple(ids)).with_void(None)
    shown = ", ".join(map(str, ids[:12])) + (" ..." if len(ids) > 12 else "")
    return coding, IdLabels(coding), f"No class file: the values in the masks, {shown}, are taken for classes. {_naming(coding)}"


def _naming(coding: Coding) -> str:
    """How the classes can be named."""
    if coding.ids == tuple(range(len(coding.ids))):
        return CLASSES_TXT
    lines = ", ".join(f"'{value} {name}'" for value, name in list(zip(coding.ids, coding.classes.names, strict=True))[-2:])
    return f"Write codes.txt with id and class name on each line to name them: {lines}."


def _number_objects(maps: Sequence[NDArray[Any]]) -> bool:
    """Whether values number objects: 1 to N without a gap, N not always the same, each value in one piece."""
    numbers = [[int(value) for value in np.unique(one) if 0 < value < OBJECT_VOID] for one in maps]
    dense = all(len(values) == values[-1] for values in numbers if values)
    if not dense or len({len(values) for values in numbers}) < 2 or max(map(len, numbers)) < 3:
        return False
    parts = values = 0
    for one, own in zip(maps, numbers, strict=True):
        if one.ndim == 2:
            parts += sum(cv2.connectedComponents((one == value).astype(np.uint8))[0] - 1 for value in own[:50])
            values += len(own[:50])
    return values > 0 and parts <= WHOLE * values
