"""Dataset: records of files, read one Sample at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol, overload

from intarsia.core.errors import LabelError, OptionError, PairingError, nearest
from intarsia.core.sample import Sample
from intarsia.data.images import read_image
from intarsia.data.label_cache import LabelCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["SPLITS", "Dataset", "FileReader", "MemoryReader", "Reader", "Record", "share_of"]

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
END = 1 << 16
"""Bytes hashed at each end of a file."""


@dataclass(frozen=True)
class Record:
    """One image of a data set. Without files (synthetic scenes, arrays in memory) both paths are None."""

    key: str
    image: Path | None = None
    label: Path | None = None
    split: str = ""


class Reader(Protocol):
    """What turns a record into arrays; picklable, for it travels to the loader's workers."""

    def image(self, record: Record) -> NDArray[Any]:
        """(*S, C) in the file's own dtype."""

    def segments(self, record: Record) -> Segments | None:
        """The truth, or None where there is none."""


@dataclass(frozen=True)
class FileReader:
    """Reads a record's two files; `labels` turns a label file into segments and must be picklable."""

    labels: Callable[[Path], Segments]

    def image(self, record: Record) -> NDArray[Any]:
        """(*S, C) of the image file."""
        assert record.image is not None
        return read_image(record.image)

    def segments(self, record: Record) -> Segments | None:
        """The segments of the label file."""
        return None if record.label is None else self.labels(record.label)


@dataclass(frozen=True)
class MemoryReader:
    """Gives what is already in memory, by key."""

    samples: Mapping[str, Sample]

    def image(self, record: Record) -> NDArray[Any]:
        """(*S, C) of the sample."""
        return self.samples[record.key].image

    def segments(self, record: Record) -> Segments | None:
        """The segments of the sample."""
        return self.samples[record.key].segments


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
        self.options: dict[str, Any] = {}  # what open_dataset was given, so that a run can open the same again
        self.keys = [record.key for record in self.records]
        if len(set(self.keys)) != len(self.keys):
            twice = sorted({key for key in self.keys if self.keys.count(key) > 1})
            raise PairingError(self._where, expected="each key once", received=f"{twice[:3]} more than once")

    @classmethod
    def from_samples(
        cls, samples: Iterable[Sample], classes: ClassSet, *, splits: Mapping[str, str] | None = None, name: str = "memory"
    ) -> Dataset:
        """A data set of samples in memory, with distinct keys; `splits` gives the split of each key, if any."""
        by_key = {sample.key or str(number): sample for number, sample in enumerate(samples)}
        records = [Record(key, split=(splits or {}).get(key, "")) for key in by_key]
        return cls(records, classes, MemoryReader(by_key), name=name, cache_bytes=0)

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
            raise _sizes_differ(record, image.shape[:-1], segments.size)
        return Sample(image, segments, key=record.key, classes=self.classes)

    def segments(self, index: int) -> Segments | None:
        """The truth of one image alone, from the cache where it is there."""
        record = self.records[index]
        return self.cache.get(record.key, lambda: self.reader.segments(record))

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        parts = ", ".join(f"{split} {sum(r.split == split for r in self.records)}" for split in self.splits)
        return f"Dataset({self._where}: {len(self)} images{f' ({parts})' if parts else ''}, {len(self.classes)} classes)"

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
                nearest(name, self.splits) if self.splits else "Split it: open_dataset(..., val=0.2) holds a fifth back as 'val'."
            )
            raise OptionError(f"split {name!r} of {self._where}", expected="a split that is there", hint=hint)
        return self.subset(record for record in self.records if record.split == wanted)

    def fraction(self, share: float, seed: int = 0) -> Dataset:
        """A seeded part of the images, in their order: the same on each machine, and a larger share contains a smaller one."""
        kept = share_of(self.keys, share, seed)
        return self.subset(record for record in self.records if record.key in kept)

    def subset(self, records: Iterable[Record]) -> Dataset:
        """The same data set with these records only; the label cache is shared."""
        part = copy(self)
        part.records = tuple(records)
        part.keys = [record.key for record in part.records]
        return part

    # -- trust -----------------------------------------------------------------------------------------------------------------

    def check(self, *, threads: int | None = None) -> None:
        """Read every file once, in parallel, and raise the first DataError in the order of the records; the labels stay cached.

        Found here: missing and corrupt files, sizes that differ, colours or unknown ids in a label, channels that differ between
        images, a data set without images or in which no pixel is labelled.
        """
        if not self.records:
            raise PairingError(self._where, expected="at least one image", received="none")

        def facts(index: int) -> tuple[int, bool]:
            sample = self[index]
            return sample.image.shape[-1], sample.segments is None or bool((sample.segments.ids >= 0).any())

        with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
            try:
                found = list(pool.map(facts, range(len(self))))
            finally:
                pool.shutdown(cancel_futures=True)
        for record, (channels, _) in zip(self.records, found, strict=True):
            if channels != found[0][0]:
                raise PairingError(
                    str(record.image or record.key),
                    expected=f"{found[0][0]} channels as in {self.records[0].image or self.records[0].key}",
                    received=channels,
                    hint="Save all images with the same channels, for instance without alpha.",
                )
        if not any(labelled for _, labelled in found):
            raise LabelError(self._where, expected="labelled pixels", received="void everywhere", hint="Look at the void id.")

    def fingerprint(self) -> str:
        """32 hex digits that name the data: blake2b over the sorted keys and, of each image and label file, the size and the first
        and last 64 KiB (of samples in memory, all pixels). Paths do not count, so it is the same on each machine.
        """
        digest = blake2b(digest_size=16)
        for record in sorted(self.records, key=lambda record: record.key):
            digest.update(f"{record.key}\0{record.split}\0".encode())
            for part in _content(record, self.reader):
                digest.update(part)
        return digest.hexdigest()

    @property
    def _where(self) -> str:
        return str(self.root or self.name or "data set")


def share_of(keys: Sequence[str], share: float, seed: int) -> set[str]:
    """round(share * N) of the keys, at least one: those whose blake2b of seed and key comes first, on every machine."""
    if not 0 < share <= 1:
        raise OptionError("fraction", expected="above 0, at most 1", received=share)
    ranked = sorted(keys, key=lambda key: blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest())
    return set(ranked[: max(1, round(share * len(keys)))])


def _sizes_differ(record: Record, image: tuple[int, ...], label: tuple[int, ...]) -> PairingError:
    turned = image[-2:] == label[-2:][::-1]
    return PairingError(
        str(record.label or record.key),
        expected=f"the size of its image {record.image or ''}, {_size(image)}",
        received=_size(label),
        hint="The image was turned upright by its EXIF orientation: turn the label too, or strip the EXIF." if turned else "",
    )


def _size(size: tuple[int, ...]) -> str:
    return "x".join(str(extent) for extent in reversed(size)) + (" (width x height)" if len(size) == 2 else "")


def _content(record: Record, reader: Reader) -> Iterator[bytes]:
    """What the fingerprint hashes of one record."""
    if record.image is None:
        segments = reader.segments(record)
        for array in (reader.image(record), *(() if segments is None else (segments.ids, segments.classes))):
            yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
    for path in (record.image, record.label):
        if path is not None:
            size = path.stat().st_size
            with path.open("rb") as file:
                yield f"{size}\0".encode() + file.read(END)
                if size > END:
                    file.seek(max(END, size - END))
                    yield file.read(END)
