"""Holds: what a format can store, declared, and checked before a byte is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from intarsia.core.errors import CannotHold

if TYPE_CHECKING:
    from intarsia.core.classes import ClassSet
    from intarsia.core.sample import Sample
    from intarsia.core.segments import Segments
    from intarsia.data.dataset import Dataset
    from intarsia.data.records import Record

__all__ = ["Format", "Holds", "check", "inner_key", "is_semantic", "losses"]


@dataclass(frozen=True)
class Holds:
    """What read(write(x)) gives back unchanged.

    >>> Holds(instances=True).instances, Holds().overlap
    (True, False)
    """

    instances: bool = False
    """Several segments of one class."""
    single: bool = False
    """Those only where there is one class."""
    ordered: bool = True
    """The order of the segments; without, only which there are."""
    overlap: bool = False
    crowd: bool = False
    scores: bool = False
    void: bool = True
    nothing: bool = True
    volumes: bool = False
    images: bool = True
    """Plain ones (H, W, C)."""
    unlabelled: bool = False
    """Images without truth beside images with it."""
    dtypes: tuple[str, ...] = ("uint8", "uint16")
    """Of images."""
    channels: tuple[int, ...] | None = (1, 3, 4)
    """Of images; None means any number."""
    splits: tuple[str, ...] | None = None
    """The splits that have a place; None means any, and none at all ("")."""
    folders: bool = True
    """Keys such as "city/frame"."""

    def of(self, classes: ClassSet) -> Holds:
        """What it holds of data with these classes."""
        return replace(self, instances=self.instances and not (self.single and len(classes) > 1))

    def faults(self, sample: Sample) -> list[Fault]:
        """What of a sample there is no room for."""
        image, segments = sample.image, sample.segments
        found = [
            (image.dtype.name not in self.dtypes, "dtype", f"images of {' or '.join(self.dtypes)}", image.dtype.name),
            (
                self.channels is not None and image.shape[-1] not in self.channels,
                "channels",
                f"images of {self.channels} channels",
                str(image.shape[-1]),
            ),
            (image.ndim == 4 and not self.volumes, "volumes", "images (H, W, C)", f"a volume {image.shape}"),
            (image.ndim == 3 and not self.images, "images", "volumes (D, H, W, C)", f"an image {image.shape}"),
        ]
        if segments is None:
            found.append((not self.unlabelled, "unlabelled", "a truth for each image", "none"))
        else:
            flat = len(segments.ids) == 1 or not segments.ids[1:].any()
            alone = len(segments.classes) == len(set(segments.classes.tolist())) and flat
            nothing = bool((segments.ids[0] == 0).any())
            found += [
                (not self.overlap and not flat, "overlap", "segments that do not overlap", f"{len(segments.ids)} layers"),
                (not self.instances and not alone, "instances", "one segment per class", repr(segments)),
                (not self.instances and alone and not is_semantic(segments), "order", "segments by class index", repr(segments)),
                (not self.crowd and bool(segments.crowd.any()), "crowd", "no crowd", "crowd segments"),
                (not self.scores and bool((segments.scores != 1).any()), "scores", "no scores", "scores other than 1"),
                (not self.void and bool(segments.void.any()), "void", "no void pixels", "void"),
                (not self.nothing and nothing, "nothing", "each pixel labelled or void", "pixels of no class"),
                (len(segments.compact()) < len(segments), "empty", "segments with pixels", "a segment without any"),
            ]
        return [Fault(what, sample.key, wanted, received) for missing, what, wanted, received in found if missing]


class Fault(NamedTuple):
    """A thing that a format cannot hold."""

    what: str
    key: str
    """Of the first image that has it; empty for the data set."""
    expected: str
    received: str


def losses(format: Any, dataset: Dataset) -> dict[str, tuple[Fault, int]]:
    """Of each thing in `dataset` that the format has no room for, by name, the first case and the number of images with it."""
    found: dict[str, tuple[Fault, int]] = {}

    def add(fault: Fault) -> None:
        first, count = found.get(fault.what, (fault, 0))
        found[fault.what] = first, count + 1

    holds = format.holds.of(dataset.classes)
    for record in dataset.records:
        if dataset.splits and not record.split:
            add(Fault("splits", record.key, "a split for each image, or for none", "none for this one"))
        elif holds.splits is not None and record.split not in holds.splits:
            add(Fault("splits", record.key, f"a split among {', '.join(holds.splits)}", repr(record.split)))
        if ".." in Path(record.key).parts or Path(record.key).is_absolute():
            add(Fault("keys", record.key, "a key that stays within the folder", repr(record.key)))
        elif "/" in inner_key(record) and not holds.folders:
            add(Fault("keys", record.key, "a key without folders", repr(record.key)))
    for sample in dataset:
        for fault in holds.faults(sample):
            add(fault)
    try:
        held = format.held(dataset.classes)
    except CannotHold:
        if found:
            return found  # first what is wrong with the images
        raise
    for name in ("names", "things", "void", "groups", "nothing", "colours"):
        if getattr(held, name) != getattr(dataset.classes, name):
            add(Fault("classes", "", f"{name} {getattr(held, name)}", repr(getattr(dataset.classes, name))))
            break
    return found


def check(format: Any, dataset: Dataset, name: str) -> None:
    """Raise CannotHold, which tells the first thing that the format has no room for, and how many others there are."""
    found = losses(format, dataset)
    if found:
        (first, _), *_ = found.values()
        counted = ", ".join(f"{what} ({count} image{'s' * (count > 1)})" for what, (fault, count) in found.items() if fault.key)
        raise CannotHold(
            f"{name} cannot hold {first.key!r}" if first.key else name,
            expected=first.expected,
            received=first.received,
            hint=f"Nothing was written.{f' In all it cannot hold: {counted}.' if counted else ''}",
        )


class Format(Protocol):
    """The contract of each file in data/formats: a namespace of three functions and what the format holds."""

    holds: Holds
    looks: str
    """What such a folder looks like, in a few words."""
    general: bool
    """Whether a folder that looks like another format too is left to that."""

    @staticmethod
    def detect(path: Path, **options: Any) -> str:
        """Why a folder looks like this format, in a few words, given the options of `open`; empty where it does not.

        By the layout alone: what is missing within it is for `open` to name.
        """

    @staticmethod
    def open(path: Path, **options: Any) -> Dataset:
        """The data set in a folder."""

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """The classes as reading would give them back; CannotHold where their names have no place."""

    @staticmethod
    def write(dataset: Dataset, path: Path, **options: Any) -> None:
        """Write a data set to a folder that has no data yet; CannotHold before the first byte."""


def inner_key(record: Record) -> str:
    """The key within its split: the inverse of `unique_keys`."""
    return record.key.removeprefix(f"{record.split}/") if record.split else record.key


def is_semantic(segments: Segments) -> bool:
    """Whether the rows are the classes that are present, each once, by index."""
    return bool((np.diff(segments.classes) > 0).all()) and not segments.ids[1:].any()
