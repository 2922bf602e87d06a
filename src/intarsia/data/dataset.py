"""Dataset: records of files, read one Sample at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from intarsia.core.errors import OptionError, PairingError, nearest
from intarsia.core.sample import Sample
from intarsia.data.checking import check, sizes_differ
from intarsia.data.fingerprint import fingerprint
from intarsia.data.label_cache import LabelCache
from intarsia.data.records import MemoryReader, Reader, Record

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["SPLITS", "Dataset", "Record", "evenly_spaced", "share_of", "shuffled", "split_by_share", "split_place"]

TOGETHER = 5
"""Files from which on their pieces are not parted by a split; of fewer, too much or nothing would be held back."""
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What folders and lists call a split, and what we call it."""


class Dataset(Sequence[Sample]):
    """Images with their truth, by number; what open_dataset gives and what training, evaluation and the writers take.

    Decoded labels are kept as run lengths up to `cache_bytes` (see LabelCache), shared by the splits made from one data set and
    begun anew in each loader worker that is not forked.

    >>> import numpy as np
    >>> from intarsia.core import ClassSet, Segments
    >>> sample = Sample(np.zeros((2, 3, 1), np.uint8), Segments.empty((2, 3)), key="a")
    >>> data = Dataset.from_samples([sample], ClassSet(("cell",)))
    >>> len(data), data.keys, data[0].segments
    (1, ['a'], Segments(0 rows, 2x3, 1 layer))
    """

    def __init__(
        self,
        records: Iterable[Record],
        classes: ClassSet,
        reader: Reader,
        *,
        name: str = "",
        root: Path | None = None,
        format: str = "",
        cache_bytes: int = 256 << 20,
    ) -> None:
        self.records = tuple(records)
        self.classes = classes
        self.reader = reader
        self.name = name
        self.root = root
        self.format = format
        self.cache = LabelCache(cache_bytes)
        self.licence = "unknown"  # the terms of images and labels, which travel with a network trained on them
        self.why = ""  # it was taken for this format
        self.notes: tuple[str, ...] = ()  # what its opener should be told
        self.options: dict[str, Any] = {}  # what open_dataset was given, so that a run can open the same again
        self.keys = [record.key for record in self.records]
        if len(set(self.keys)) != len(self.keys):
            twice = sorted({key for key in self.keys if self.keys.count(key) > 1})
            raise PairingError(self.where, expected="each key once", received=f"{twice[:3]} more than once")

    @classmethod
    def from_samples(
        cls, samples: Iterable[Sample], classes: ClassSet, *, splits: Mapping[str, str] | None = None, name: str = "memory"
    ) -> Dataset:
        """A data set of samples in memory, with distinct keys; `splits` gives the split of each key, if any."""
        named = [(sample.key or str(number), sample) for number, sample in enumerate(samples)]
        records = [Record(key, split=(splits or {}).get(key, "")) for key, _ in named]
        return cls(records, classes, MemoryReader(dict(named)), name=name, cache_bytes=0)

    # -- samples ---------------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        if isinstance(index, slice):
            return self.subset(self.records[index])
        record = self.records[index]
        image, segments = self.reader.image(record), self.segments(index)
        if segments is not None and segments.size != image.shape[:-1]:
            raise sizes_differ(record, image.shape[:-1], segments.size)
        return Sample(image, segments, key=record.key, classes=self.classes, **self.reader.grid(record))

    def segments(self, index: int) -> Segments | None:
        """The truth of one image alone, from the cache where it is there."""
        record = self.records[index]
        return self.cache.get(record.key, lambda: self.reader.segments(record))

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        parts = ", ".join(f"{split} {sum(r.split == split for r in self.records)}" for split in self.splits)
        return f"Dataset({self.where}: {len(self)} images{f' ({parts})' if parts else ''}, {len(self.classes)} classes)"

    # -- parts -----------------------------------------------------------------------------------------------------------------

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits there are: train, val, test, then others; empty where the data set has none."""
        present = {record.split for record in self.records} - {""}
        return tuple(sorted(present, key=lambda name: (["train", "val", "test", name].index(name), name)))

    def split(self, name: str) -> Dataset:
        """The images of one split; "valid" and "validation" mean "val". OptionError with the nearest where it is not there."""
        wanted = SPLITS.get(name, name)
        if wanted not in self.splits:
            hint = (
                nearest(name, self.splits)
                if self.splits
                else "Split it: open_dataset(..., val=0.2), or --data-args val=0.2, holds a fifth back as 'val'."
            )
            raise OptionError(f"split {name!r} of {self.where}", expected="a split that is there", hint=hint)
        return self.subset(record for record in self.records if record.split == wanted)

    def fraction(self, share: float, seed: int = 0) -> Dataset:
        """A seeded part of the images, in their order: the same on each machine, and a larger share contains a smaller one."""
        kept = share_of(self.keys, share, seed)
        return self.subset(record for record in self.records if record.key in kept)

    def held_back(self, *, val: float = 0.0, test: float = 0.0, seed: int = 0) -> Dataset:
        """The same data set with seeded shares of the unsplit or train images in the splits val and test."""
        part = self.subset(split_by_share(self.records, val, test, seed))
        general = {"val": (val, 0.0), "test": (test, 0.0), "seed": (seed, 0)}
        part.options = self.options | {name: value for name, (value, default) in general.items() if value != default}
        return part

    def subset(self, records: Iterable[Record]) -> Dataset:
        """The same data set with these records only; the label cache is shared."""
        part = copy(self)
        part.records = tuple(records)
        part.keys = [record.key for record in part.records]
        return part

    # -- trust -----------------------------------------------------------------------------------------------------------------

    def check(self, *, threads: int | None = None, waive: Collection[str] = ()) -> None:
        """Read every file once, before anything is trained; raises the first DataError there is (see `data/checking.py`)."""
        check(self, threads=threads, waive=waive)

    def fingerprint(self) -> str:
        """32 hex digits that name the data, the same on each machine (see `data/fingerprint.py`)."""
        return fingerprint(self)

    @property
    def where(self) -> str:
        """The folder, else the name: what errors call the data set."""
        return str(self.root or self.name or "data set")


def split_by_share(records: Sequence[Record], val: float, test: float, seed: int) -> Sequence[Record]:
    """The records with seeded shares of those in no split, or in `train`, moved to `val` and `test`; the rest is `train`.

    Pieces of one file, such as the planes of a volume, stay together where there are at least `TOGETHER` files. Of fewer volumes a
    block of neighbouring planes is held back from the middle of each, for planes between those of the training are all but theirs.
    """
    if not val and not test:
        return records
    present = {record.split for record in records}
    if min(val, test) < 0 or val + test >= 1 or (val and "val" in present) or (test and "test" in present):
        raise OptionError(
            "val and test", expected="shares that add up to less than 1, of splits not yet there", received=(val, test)
        )
    free = [record for record in records if record.split in ("", "train")]
    files = Counter(record.image for record in free)
    whole = len(files) >= TOGETHER
    units = {record: record.key.rpartition("/")[0] if whole and files[record.image] > 1 else record.key for record in free}
    names = list(dict.fromkeys(units.values()))
    stacks = [] if whole else _stacks(free)
    planes = set().union(*stacks)
    loose = [name for name in names if name not in planes]
    tested = share_of(loose, test, seed) if test and loose else set()
    held = share_of(loose, test + val, seed) if loose else set()  # contains the smaller share
    for keys in stacks:
        block = _middle(keys, test + val)
        held.update(block)
        tested.update(_middle(keys, test, end=keys.index(block[-1]) + 1) if test else ())

    def split(record: Record) -> str:
        unit = units.get(record)
        return "test" if unit in tested else "val" if unit in held else record.split or "train"

    return [replace(record, split=split(record)) for record in records]


def _stacks(records: Sequence[Record]) -> list[list[str]]:
    """The keys of the planes of each volume, in their order: several of one file, told by number."""
    keys: dict[Path, list[str]] = {}
    for record in records:
        if record.image is not None and record.key.rpartition("/")[2].isdecimal():
            keys.setdefault(record.image, []).append(record.key)
    return [sorted(own) for own in keys.values() if len(own) > 1]


def _middle(keys: Sequence[str], share: float, end: int | None = None) -> Sequence[str]:
    """round(share * N) neighbours, at least one, from the middle, or up to `end`."""
    count = max(1, round(share * len(keys)))
    stop = (len(keys) + count) // 2 if end is None else end
    return keys[stop - count : stop]


def split_place(split: str) -> tuple[int, int, str]:
    """By which splits are sorted: train, val, test, then folds by number, then others by name.

    >>> sorted(["10", "extra", "9", "test", "train"], key=split_place)
    ['train', 'test', 'extra', '9', '10']
    """
    known = ("train", "val", "test")
    return known.index(split) if split in known else len(known), int(split) if split.isdecimal() else 0, split


def share_of(keys: Sequence[str], share: float, seed: int) -> set[str]:
    """round(share * N) of the keys, at least one: those whose blake2b of seed and key comes first, on every machine.

    >>> sorted(share_of(["a", "b", "c", "d"], 0.5, seed=0))
    ['c', 'd']
    """
    if not 0 < share <= 1:
        raise OptionError("fraction", expected="above 0, at most 1", received=share)
    return set(shuffled(keys, seed)[: max(1, round(share * len(keys)))])


def evenly_spaced(length: int, count: int) -> list[int]:
    """At most `count` places among `length`, from the first to the last.

    >>> evenly_spaced(9, 3)
    [0, 4, 8]
    """
    return [int(place) for place in np.linspace(0, length - 1, min(count, length))]


def shuffled(keys: Iterable[str], seed: int) -> list[str]:
    """The keys in an order that depends on the seed and on each key alone: by blake2b, the same on every machine.

    >>> shuffled(["a", "b", "c", "d"], seed=0)
    ['c', 'd', 'a', 'b']
    """
    return sorted(keys, key=lambda key: blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest())
