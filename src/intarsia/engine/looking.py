"""Look first: samples as the files hold them, and a batch as the network will get it. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core import ClassSet, Sample
from intarsia.data.coding import Coding
from intarsia.data.images import read_image, read_labels
from intarsia.draw.look import batch_sheet, sheet
from intarsia.draw.save import save
from intarsia.engine.options import TrainOptions
from intarsia.engine.pictures import augmented

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.data.dataset import Dataset

__all__ = ["draw_batch", "look_at", "sample_of_ids"]


def look_at(data: Dataset, path: Path, *, count: int = 4, batch: bool = True) -> list[Path]:
    """`count` evenly spaced samples in one picture, and beside it, with `_batch` in its name, a training batch as augmented."""
    picked = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))
    written = [save(sheet([data[int(index)] for index in picked], data.classes), path)]
    if batch:
        written.append(draw_batch(data, TrainOptions(), path.with_name(f"{path.stem}_batch{path.suffix}")))
    return written


def draw_batch(
    data: Dataset, options: TrainOptions, path: Path, count: int = 8, *, chances: tuple[float, ...] | None = None
) -> Path:
    """The first pictures of the first epoch, augmented as the options say, with their labels laid over."""
    return save(batch_sheet(augmented(data, options, count, chances), data.classes), path)


def sample_of_ids(path: Path, classes: ClassSet | None, image: Path | None) -> Sample:
    """A label file as a Sample; without classes each id is its own class, and without image the picture is black.

    255 is void where it is no class: with more classes, or, without `classes`, with ids above it. Raises LabelError for an id of no
    meaning.
    """
    labels = read_labels(path)  # (H, W)
    if classes is None:
        highest = int(labels.max(initial=0, where=labels != 255))
        classes = ClassSet(tuple(str(value) for value in range(min(highest, 65535) + 1)))  # the coding refuses what is above
    segments = Coding(classes, tuple(range(len(classes)))).with_void(None).segments(labels, str(path))
    pixels = np.zeros((*labels.shape, 3), np.uint8) if image is None else read_image(image)
    return Sample(pixels, segments, path.stem, classes=classes)
