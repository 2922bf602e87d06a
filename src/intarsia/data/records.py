"""Records: where the parts of one image lie, and what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from intarsia.core.errors import few
from intarsia.data.images import orientation, read_image, write_bytes, write_exact

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.sample import Sample
    from intarsia.core.segments import Segments

__all__ = ["PNG", "FileReader", "MemoryReader", "Reader", "Record", "beside", "ends", "pixels", "put_image", "told_left_over"]

PNG = (".png",)
COPIED = (*PNG, ".jpg", ".jpeg")
"""Kinds of images that other programs read as well."""
END = 1 << 16
"""Bytes looked at on each end of a file."""


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

    def grid(self, record: Record) -> dict[str, Any]:
        """What the files tell of where the pixels lie: `spacing`, `geo` and `valid` of a `Sample`, those that they do tell."""

    def content(self, record: Record) -> Iterator[bytes]:
        """What tells the content of image and truth from any other: for the fingerprint of the data."""


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

    def grid(self, record: Record) -> dict[str, Any]:
        """Nothing: files of pixels tell nothing of space."""
        return {}

    def content(self, record: Record) -> Iterator[bytes]:
        """Size and ends of each file."""
        return ends(record.image, record.label)


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

    def grid(self, record: Record) -> dict[str, Any]:
        """That of the sample."""
        sample = self.samples[record.key]
        return {"spacing": sample.spacing, "geo": sample.geo, "valid": sample.valid}

    def content(self, record: Record) -> Iterator[bytes]:
        """All pixels."""
        return pixels(self.samples[record.key])


def put_image(place: Path, record: Record, image: NDArray[Any], kinds: Sequence[str] = COPIED) -> Path:
    """Write the image of a record under a path without suffix; the file is returned.

    The record's own file is copied byte by byte, where it is of the `kinds`, upright and holds `image`. One that EXIF turns is
    written anew, as it is shown, for not every program turns it.
    """
    file = record.image
    if file is None or file.suffix.lower() not in kinds or orientation(file) != 1 or not np.array_equal(read_image(file), image):
        return write_exact(place, image)
    copy = place.with_name(place.name + file.suffix.lower())
    write_bytes(copy, file.read_bytes())
    return copy


def beside(records: Sequence[Record], used: Iterable[Path | None], suffixes: Collection[str]) -> list[Path]:
    """The files of `suffixes` that no record names, in the folders of those `used`, sorted; hidden ones are left out."""
    named = {file for record in records for file in (record.image, record.label)}
    found = (file for folder in {file.parent for file in used if file is not None} for file in folder.iterdir())
    return sorted(file for file in found if file.suffix.lower() in suffixes and file not in named and not file.name.startswith("."))


def told_left_over(files: Sequence[Path]) -> tuple[str, ...]:
    """What to tell whoever opens data of which some files are used for nothing, if any are."""
    names = few([file.name for file in files], 4)
    return (f"Left out, for nothing tells what belongs to them: {names}.",) if files else ()


def pixels(sample: Sample) -> Iterator[bytes]:
    """All of image and truth."""
    for array in (sample.image, *(() if sample.segments is None else (sample.segments.ids, sample.segments.classes))):
        yield f"{array.dtype}{array.shape}".encode() + array.tobytes()


def ends(*paths: Path | None) -> Iterator[bytes]:
    """Of each file (of a folder, all in it) the size and the first and last 64 KiB, which few edits leave as they are."""
    for path in paths:
        if path is not None and path.is_dir():
            yield from ends(*sorted(path.iterdir()))
        elif path is not None:
            size = path.stat().st_size
            with path.open("rb") as file:
                yield f"{size}\0".encode() + file.read(END)
                if size > END:
                    file.seek(max(END, size - END))
                    yield file.read(END)
