"""Look first: samples as the files hold them, and a batch as the network will get it. Loads no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core import ClassSet, Sample
from intarsia.core.errors import DataError, InvalidNoun
from intarsia.data.coding import Coding
from intarsia.data.dataset import evenly_spaced
from intarsia.data.images import read_image, read_labels
from intarsia.draw.look import batch_sheet, sheet
from intarsia.draw.save import save
from intarsia.engine.options import TrainOptions
from intarsia.engine.pictures import augmented

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.data.dataset import Dataset
    from intarsia.data.examine import Report
    from intarsia.data.records import Record

__all__ = ["draw_batch", "draw_findings", "look_at", "sample_of_ids"]


def look_at(data: Dataset, path: Path, *, count: int = 4, batch: bool = True) -> list[Path]:
    """`count` evenly spaced samples in one picture, and beside it, with `_batch` in its name, a training batch as augmented."""
    picked = evenly_spaced(len(data), count)
    written = [save(sheet([data[index] for index in picked], data.classes), path)]
    if batch:
        written.append(draw_batch(data, TrainOptions(), path.with_name(f"{path.stem}_batch{path.suffix}")))
    return written


def draw_findings(report: Report, path: Path, count: int = 3) -> Path | None:
    """Of each finding the first pairs that can be shown: image, label, both, and the ids as the file has them; None for no pair."""
    records = {one.record.key: one.record for one in report.survey.facts}
    samples = []
    for finding in report.findings:
        for record in [records[key] for key in finding.keys[:count] if key in records]:
            try:
                samples.append(replace(_as_stored(record), key=f"{finding.check}: {record.key}"))
            except (DataError, InvalidNoun):  # that is what was found
                continue
    return save(sheet(samples), path) if samples else None


def _as_stored(record: Record) -> Sample:
    """An image with its label file, each id a class of its own, or an image alone. Raises DataError or InvalidNoun for others."""
    if record.label is not None:
        return sample_of_ids(record.label, None, record.image)
    if record.image is None:
        raise DataError(record.key, expected="an image or a label", received="neither")
    return Sample(read_image(record.image), classes=ClassSet(("none",)))


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
