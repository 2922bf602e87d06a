"""Holds: what a format can store, declared, and checked before a byte is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from intarsia.core.errors import CannotHold

if TYPE_CHECKING:
    from intarsia.core.sample import Sample
    from intarsia.core.segments import Segments
    from intarsia.data.dataset import Dataset

__all__ = ["Format", "Holds", "is_semantic"]


@dataclass(frozen=True)
class Holds:
    """What read(write(x)) gives back unchanged.

    >>> Holds(instances=True).instances, Holds().overlap
    (True, False)
    """

    instances: bool = False
    """Several segments of one class."""
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

    def check(self, dataset: Dataset, format: str) -> None:
        """Raise CannotHold for the first thing in `dataset` that the format has no room for."""
        unsplit = [record.key for record in dataset.records if not record.split]
        if unsplit and dataset.splits:
            _refuse(format, unsplit[0], "a split for each image, or for none", "none for this one")
        for record, sample in zip(dataset.records, dataset, strict=True):
            if self.splits is not None and record.split not in self.splits:
                _refuse(format, record.key, f"a split among {', '.join(self.splits)}", repr(record.split))
            if ".." in Path(record.key).parts or Path(record.key).is_absolute():
                _refuse(format, record.key, "a key that stays within the folder", repr(record.key))
            for wanted, received in self._missing(sample):
                _refuse(format, record.key, wanted, received)

    def _missing(self, sample: Sample) -> list[tuple[str, str]]:
        image, segments = sample.image, sample.segments
        found = [
            (image.dtype.name not in self.dtypes, f"images of {' or '.join(self.dtypes)}", image.dtype.name),
            (
                self.channels is not None and image.shape[-1] not in self.channels,
                f"images of {self.channels} channels",
                str(image.shape[-1]),
            ),
            (image.ndim == 4 and not self.volumes, "images (H, W, C)", f"a volume {image.shape}"),
            (image.ndim == 3 and not self.images, "volumes (D, H, W, C)", f"an image {image.shape}"),
        ]
        if segments is None:
            found.append((not self.unlabelled, "a truth for each image", "none"))
        else:
            flat = len(segments.ids) == 1 or not segments.ids[1:].any()
            found += [
                (not self.overlap and not flat, "segments that do not overlap", f"{len(segments.ids)} layers"),
                (not self.instances and not is_semantic(segments), "one segment per class, by class index", repr(segments)),
                (not self.crowd and bool(segments.crowd.any()), "no crowd", "crowd segments"),
                (not self.scores and bool((segments.scores != 1).any()), "no scores", "scores other than 1"),
                (not self.void and bool(segments.void.any()), "no void pixels", "void"),
                (not self.nothing and bool((segments.ids[0] == 0).any()), "each pixel labelled or void", "pixels of no class"),
                (len(segments.compact()) < len(segments), "segments with pixels", "a segment without any; call compact() first"),
            ]
        return [(wanted, received) for missing, wanted, received in found if missing]


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
    def write(dataset: Dataset, path: Path, **options: Any) -> None:
        """Write a data set to a folder that has no data yet; CannotHold before the first byte."""


def is_semantic(segments: Segments) -> bool:
    """Whether the rows are the classes that are present, each once, by index."""
    return bool((np.diff(segments.classes) > 0).all()) and not segments.ids[1:].any()


def _refuse(format: str, key: str, expected: str, received: str) -> None:
    raise CannotHold(f"{format} cannot hold {key!r}", expected=expected, received=received, hint="Nothing was written.")
