"""Holds: what a format can store, declared, and checked before a byte is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from intarsia.core.errors import CannotHold
from intarsia.data.dataset import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intarsia.core.classes import ClassSet
    from intarsia.core.sample import Sample
    from intarsia.core.segments import Segments
    from intarsia.data.dataset import Dataset
    from intarsia.data.records import Record

__all__ = ["BACKGROUNDS", "LOSABLE", "Holds", "background_of", "check", "inner_key", "is_semantic", "losses"]

LOSABLE = {
    "classes": "colours, which are things, the name of void: what the format does not tell of classes",
    "splits": "the split of images whose split has no place",
    "grid": "where the pixels lie: spacing, affine, place on Earth, which of them are valid",
    "overlap": "what of a segment lies under another",
    "instances": "which object of its class a pixel is of",
    "order": "the order of segments",
    "crowd": "crowds: their pixels become void, or nothing",
    "scores": "the scores of segments",
    "void": "which pixels are void: they become nothing",
    "nothing": "which pixels are nothing: they become void, in voc the class background, id 0",
    "background": "a class called background that is no thing: its pixels become nothing, not an object of each image",
    "empty": "segments without pixels",
    "unlabelled": "images without truth",
}
"""What may be left out where a format has no room for it, and what that means."""
BACKGROUNDS = ("background", "_background_", "__background__")
"""What files call all that is no object."""


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
    background: bool = True
    """A class called so that is no thing (`BACKGROUNDS`)."""
    fills: bool = False
    """Whether nothing, where it has no room, becomes the class background rather than void."""
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
    """The splits that have a place; None means any, and none at all (""), but no other spelling of train, val and test."""
    grid: tuple[str, ...] = ()
    """What of a sample's grid: "spacing", "valid", and entries of its `geo`."""
    folders: bool = True
    """Keys such as "city/frame"."""
    split_folders: bool = True
    """Keys such as "train/frame" (without folders, "train") of images that are in no split."""
    reserved: tuple[str, ...] = ()
    """Names, in small letters, that no part of a key may have."""
    spaces: bool = True
    """Keys with spaces or # first, of images that are in a split."""
    apart: bool = True
    """One key in two splits."""

    def of(self, classes: ClassSet) -> Holds:
        """What it holds of data with these classes."""
        return replace(self, instances=self.instances and not (self.single and len(classes) > 1))

    def has_split(self, split: str) -> bool:
        """Whether a split has a place, and is read again by that name.

        >>> Holds().has_split("extra"), Holds().has_split("train2017"), Holds(splits=("", "train")).has_split("extra")
        (True, False, False)
        """
        if self.splits is not None:
            return split in self.splits
        return SPLITS.get(split.lower(), split) == split and split != "default" and not split[-1:].isdigit() and "/" not in split

    def misplaced(self, records: Sequence[Record]) -> Iterator[Fault]:
        """The keys and splits that would be read as others, or be written over."""
        divided = any(record.split for record in records)
        seen: set[tuple[str, str]] = set()
        for record in records:
            split, key = record.split, inner_key(record) if self.apart else record.key
            path = PurePosixPath(key)
            if divided and not split:
                yield Fault("splits", record.key, "a split for each image, or for none", "none for this one")
            elif not self.has_split(split):
                known = (
                    "of a name without digits at the end"
                    if self.splits is None
                    else f"among {', '.join(one or 'none' for one in self.splits)}"
                )
                yield Fault("splits", record.key, f"a split {known}", repr(split))
            rules = {
                "a key that stays within the folder": ".." in path.parts or path.is_absolute() or path.as_posix() != key,
                "a key without hidden folders or files": any(part.startswith(".") for part in path.parts),
                "a key without folders": "/" in key and not self.folders,
                f"a key without {', '.join(self.reserved)} in its path": any(part.lower() in self.reserved for part in path.parts),
                "a key that does not begin with the name of a split": not (split or self.split_folders)
                and path.parts[0].lower() in SPLITS
                and (len(path.parts) > 1 or not self.folders),
                "a key without space at either end": key.strip() != key,
                "a key without spaces, or # first": bool(split) and not self.spaces and (key.split() != [key] or key[0] == "#"),
                "each key once in its split": (split, key) in seen,
            }
            wanted = next((wanted for wanted, broken in rules.items() if broken), "")
            if wanted:
                yield Fault("keys", record.key, wanted, repr(record.key))
            seen.add((split, key))

    def faults(self, sample: Sample) -> list[Fault]:
        """What of a sample there is no room for."""
        image, segments = sample.image, sample.segments
        told = {"spacing": sample.spacing, "valid": sample.valid} | (sample.geo or {})
        unheld = [name for name, value in told.items() if value is not None and name not in self.grid]
        found = [
            (bool(unheld), "grid", f"a grid of {', '.join(self.grid)}" if self.grid else "no grid", ", ".join(unheld)),
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
                (not self.instances and not alone, "instances", "one segment per class", "several segments of one class"),
                (
                    not self.instances and alone and not is_semantic(segments),
                    "order",
                    "segments in the order of the classes",
                    "another order",
                ),
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
    for fault in holds.misplaced(dataset.records):
        add(fault)
    void = False
    for sample in dataset:
        void |= sample.segments is not None and bool(sample.segments.void.any())
        for fault in holds.faults(sample):
            add(fault)
    if not holds.background and (behind := background_of(dataset.classes)):
        add(Fault("background", "", "objects alone", f"the class {behind}, which would be an object in each image"))
    try:
        held = format.held(dataset.classes)
    except CannotHold:
        if found:
            return found  # first what is wrong with the images
        raise
    for name in ("names", "things", "void", "groups", "nothing", "colours"):
        own = getattr(dataset.classes, name)
        unnamed = name == "void" and own == ("void",) and not void  # there is none, and nobody has called it anything
        if getattr(held, name) != own and not unnamed:
            add(Fault("classes", "", _listed(name, held), _listed(name, dataset.classes)))
            break
    return found


def background_of(classes: ClassSet) -> str:
    """The class called background that is no thing; empty where there is none, or no other class.

    >>> from intarsia.core import ClassSet
    >>> background_of(ClassSet(("background", "cat"), things=("cat",)))
    'background'
    """
    return next((name for name in classes.names if name in BACKGROUNDS and name not in classes.things and len(classes) > 1), "")


def _listed(name: str, classes: ClassSet) -> str:
    """What the classes have of `name`, in words."""
    value = getattr(classes, name)
    if name == "nothing":
        return "pixels that may be of no class" if value else "a class for each pixel"
    words = [f"({', '.join(one)})" if name == "groups" else str(one) for one in value]
    return f"{name} {', '.join(words[:6])}{' ...' if len(words) > 6 else ''}" if words else f"no {name}"


def check(format: Any, dataset: Dataset, name: str) -> None:
    """Raise CannotHold, which tells all that the format has no room for, in how many images, and how to leave it out."""
    found = losses(format, dataset)
    if found:
        told = "; ".join(f"{what}: {_told(fault, count)}" for what, (fault, count) in found.items())
        meant = "; ".join(f"{what}, {LOSABLE[what]}" for what in found if what in LOSABLE)
        way_out = f" To leave that out: lose={' '.join(found)}. That is: {meant}." if found.keys() <= LOSABLE.keys() else ""
        raise CannotHold(
            f"{name} cannot hold {dataset.where}",
            expected="what it has room for",
            received=told,
            hint=f"Nothing was written.{way_out}",
        )


def _told(fault: Fault, count: int) -> str:
    where = f" in {count} image{'s' * (count > 1)}, {fault.key} first" if fault.key else ""
    return f"{fault.received} where {fault.expected} has a place{where}"


def inner_key(record: Record) -> str:
    """The key within its split: the inverse of `unique_keys`."""
    return record.key.removeprefix(f"{record.split}/") if record.split else record.key


def is_semantic(segments: Segments) -> bool:
    """Whether the rows are the classes that are present, each once, by index."""
    return bool((np.diff(segments.classes) > 0).all()) and not segments.ids[1:].any()
