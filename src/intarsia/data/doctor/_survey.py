"""Survey: a folder as the doctor sees it, even where it cannot be opened."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_all_start_methods, get_context
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DataError, IntarsiaError
from intarsia.data import folders
from intarsia.data.class_files import find_class_file
from intarsia.data.doctor._facts import Facts, read_facts
from intarsia.data.formats.mask_folder import meaning_of
from intarsia.data.images import IMAGE_SUFFIXES
from intarsia.data.inferring import inferred
from intarsia.data.label_files import ColourLabels, IdLabels, ObjectLabels
from intarsia.data.open import detect, open_dataset
from intarsia.data.records import FileReader, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.data.coding import Coding
    from intarsia.data.records import Reader

__all__ = ["Survey", "survey"]

MANY = 300
"""Pairs from which on processes are worth their start."""


@dataclass(frozen=True)
class Survey:
    """All that the checks look at."""

    path: Path
    format: str
    why: str
    """It was taken for this format."""
    facts: tuple[Facts, ...]
    classes: ClassSet | None = None
    labels: Callable[[Path], Segments] | None = None
    """What reads a label file, where there is one for each image."""
    notes: tuple[str, ...] = ()
    """What the opening of the folder told."""
    refused: str = ""
    """Why the folder could not be opened."""
    size: tuple[int, int] | None = None
    """What images are resized to in training, where that is known."""
    void: int | None = None
    """The id that the caller said is void."""

    @property
    def coding(self) -> Coding | None:
        """What the ids of label files mean, where they are ids."""
        return self.labels.coding if isinstance(self.labels, IdLabels) else None

    @property
    def objects(self) -> bool:
        """Whether the label files number objects."""
        return isinstance(self.labels, ObjectLabels)

    @property
    def colours(self) -> bool:
        """Whether the label files are read by colour."""
        return isinstance(self.labels, ColourLabels)

    @cached_property
    def pairs(self) -> list[Facts]:
        """Those with an image and a label file, both readable."""
        return [
            facts
            for facts in self.facts
            if facts.image is not None and not facts.image.error and facts.label is not None and not facts.label.error
        ]

    @cached_property
    def counts(self) -> dict[int, int]:
        """The pixels of each value in all label files but those of a lossy format, which invents values."""
        return _summed(one.label.counts for one in self.facts if one.label and not one.label.lossy)

    @cached_property
    def between(self) -> dict[int, int]:
        """Of these the pixels that lie between two others along a line and in value."""
        return _summed(one.label.between for one in self.facts if one.label and not one.label.lossy)


def _summed(counts: Iterable[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for one in counts:
        for value, count in one.items():
            total[value] = total.get(value, 0) + count
    return total


def survey(path: Path, *, format: str | None = None, size: tuple[int, int] | None = None, **options: Any) -> Survey:
    """Reads every file once, in parallel. Raises DatasetNotFound where there is nothing that looks like data."""
    name, why = (format, "named by the caller") if format else detect(path, **options)
    dataset, refused = None, ""
    try:
        dataset = open_dataset(path, format=name, **options)
    except DataError as error:
        refused = str(error)
    if dataset is None and name != "mask_folder":
        return Survey(path, name, why, (), refused=refused, size=size)
    records = _of_folders(path, options) if dataset is None or name == "mask_folder" else dataset.records
    if dataset is None:
        classes, labels, notes = _told_by_masks(path, records, options)
        reader: Reader | None = None if labels is None else FileReader(labels)
    else:
        classes, reader, notes = dataset.classes, dataset.reader, dataset.notes
        labels = reader.labels if isinstance(reader, FileReader) else None
    things = None if not (classes and classes.things) or isinstance(labels, IdLabels | ColourLabels) else classes.is_thing
    facts = _read(records, reader, pictures=labels is not None or name == "mask_folder", things=things)
    return Survey(path, name, why, facts, classes, labels, notes, refused, size, options.get("void"))


def _told_by_masks(
    path: Path, records: Sequence[Record], options: dict[str, Any]
) -> tuple[ClassSet | None, Callable[[Path], Segments] | None, tuple[str, ...]]:
    """The classes, the reader of the masks and what is to be told of them, for a mask_folder that could not be opened."""
    classes, objects, by_colour = options.get("classes"), options.get("objects"), bool(options.get("by_colour"))
    try:
        guess = None
        if classes is None and objects is None and not by_colour and find_class_file(path) is None:
            guess = inferred([one.label for one in records if one.image is not None and one.label is not None])
        coding, labels, told = guess or (*meaning_of(path, classes, options.get("void"), objects, by_colour), "")
    except IntarsiaError:
        return None, None, ()
    return coding.classes, labels, (told,) if told else ()


def _of_folders(path: Path, options: dict[str, Any]) -> list[Record]:
    """Every image and every mask, paired or alone."""
    records = []
    for split, images, masks in folders.places(path, options.get("images"), options.get("masks")):
        pictures = folders.files_under(images)
        labels = folders.files_under(masks, IMAGE_SUFFIXES) if masks is not None and masks.is_dir() else {}
        rule = options.get("rule") or folders.inferred_rule(list(pictures), list(labels))
        wanted = {key: folders.renamed(key, rule) for key in pictures}
        records += [Record(key, pictures[key], labels.get(name), split) for key, name in wanted.items()]
        used = set(wanted.values())
        records += [Record(key, None, label, split) for key, label in labels.items() if key not in used and "rule" not in options]
    records = folders.unique_keys(records)
    try:
        return folders.split_by_lists(path, records)
    except IntarsiaError:
        return records


def _read(records: Sequence[Record], reader: Reader | None, **options: Any) -> tuple[Facts, ...]:
    """The facts of all pairs, in order: by processes where there are many and processes begin at once, for each pair is a matter of
    milliseconds of Python, else by threads."""
    read = partial(read_facts, reader=reader, **options)
    cores = os.cpu_count() or 1
    if len(records) < MANY or "fork" not in get_all_start_methods() or cores == 1:
        with ThreadPoolExecutor(min(8, cores)) as pool:
            return tuple(pool.map(read, records))
    with ProcessPoolExecutor(cores, get_context("fork"), _begin, (read,)) as pool:  # what is forked is not pickled
        return tuple(pool.map(_one, records, chunksize=32))


_reading: list[Callable[[Record], Facts]] = []
"""In a forked process: what reads a pair."""


def _begin(read: Callable[[Record], Facts]) -> None:
    _reading[:] = [read]


def _one(record: Record) -> Facts:
    return _reading[0](record)
