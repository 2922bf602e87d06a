"""Records: where the parts of one image lie, and what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from intarsia.data.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.sample import Sample
    from intarsia.core.segments import Segments

__all__ = ["FileReader", "MemoryReader", "Reader", "Record"]


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
