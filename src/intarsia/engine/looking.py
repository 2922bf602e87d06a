"""Look first: samples as the files hold them, and a batch as the network will get it. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core import ClassSet, Sample, Segments
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
        options = TrainOptions(trained="all" if data.classes.things else None)  # no network is chosen: all that is known
        written.append(draw_batch(data, options, path.with_name(f"{path.stem}_batch{path.suffix}")))
    return written


def draw_findings(report: Report, path: Path, count: int = 3) -> Path | None:
    """Of each finding the first pairs: image, label, both, and the ids as the file has them, or what of it can be shown; None
    where nothing can.
    """
    records = {one.record.key: one.record for one in report.survey.facts}
    samples = []
    for finding in report.findings:
        for record in [records[key] for key in finding.keys[:count] if key in records]:
            samples += _as_stored(record, f"{finding.check}: {record.key}", report.survey.coding)
    return save(sheet(samples, stored=True), path) if samples else None


def _as_stored(record: Record, title: str, coding: Coding | None) -> list[Sample]:
    """An image with its label file; where they do not go together, or one cannot be read, each that can by itself."""
    image, label = record.image, record.label
    if image and label and (whole := _ids(label, coding, image, title)):
        return [whole]
    parts = [_picture(image, f"{title}, the image")]
    if label:
        named = f"{title}, the label"
        parts.append(_ids(label, coding, None, named) or _picture(label, named))
    return [part for part in parts if part]


def _ids(label: Path, coding: Coding | None, image: Path | None, title: str) -> Sample | None:
    """A label file with its ids as class indices, and the names where they are known; None where it holds no ids (H, W), or the
    image is another size.
    """
    try:
        labels = read_labels(label)  # (H, W)
        if not labels.size or labels.max() > 65535:
            return None
        names = dict(zip(coding.ids, coding.classes.names, strict=True)) if coding else {}
        void = coding.void if coding else ()
        ids = np.where(np.isin(labels, void), -1, labels.astype(np.int64))
        known = ClassSet(tuple(names.get(value, f"id {value}") for value in range(int(ids.max(initial=0)) + 1)))
        pixels = np.zeros((*labels.shape, 3), np.uint8) if image is None else read_image(image)
        return Sample(pixels, Segments.from_semantic(ids, len(known)), title, classes=known)
    except (DataError, InvalidNoun):  # that is what was found
        return None


def _picture(path: Path | None, title: str) -> Sample | None:
    """A file as a picture without labels; None where it cannot be read."""
    try:
        return None if path is None else Sample(read_image(path), key=title, classes=ClassSet(("none",)))
    except (DataError, InvalidNoun):
        return None


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
