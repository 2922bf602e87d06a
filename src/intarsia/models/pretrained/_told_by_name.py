"""What a network that answers with a set of masks was trained for, and which of its classes are countable: its config does not say,
its name does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["told_by_name"]

TASKS = ("semantic", "instance", "panoptic")
STUFF: dict[tuple[str, int], Sequence[int]] = {
    ("coco", 133): range(80, 133),
    ("cityscapes", 19): range(11),
    ("ade", 150): (
        *range(7), 9, 11, 13, 16, 17, 21, 25, 26, 28, 29, 34, 40, 46, 48, 51, 52, 54, 59, 60, 61, 63, 68, 77, 79, 84, 91, 94, 96,
        99, 100, 101, 105, 106, 109, 113, 114, 117, 122, 128, 131, 140, 141, 145,
    ),
    ("mapillary", 65): (*range(2, 8), *range(9, 19), *range(24, 32), 43, 58, 63, 64),
}  # fmt: skip
"""What is not countable in panoptic data, by their name and number of classes, in the order of the authors of Mask2Former."""


def told_by_name(source: str, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The task, and which of the classes `names` are things; panoptic, and all, where the name of the source does not tell.

    >>> told_by_name("hf:facebook/mask2former-swin-tiny-cityscapes-panoptic", [f"class{i}" for i in range(19)])[1][0]
    'class11'
    """
    words = re.split(r"[^a-z]+", source.lower())
    task = next((task for task in TASKS if task in words), "panoptic")
    if task == "semantic":
        return task, ()
    stuff: Sequence[int] = ()
    if task == "panoptic":
        stuff = next((rows for (data, count), rows in STUFF.items() if data in words and count == len(names)), ())
    return task, tuple(name for index, name in enumerate(names) if index not in stuff)
