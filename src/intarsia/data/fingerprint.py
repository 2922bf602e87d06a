"""fingerprint: a name for the content of a data set."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intarsia.data.dataset import Dataset
    from intarsia.data.records import Reader, Record

__all__ = ["fingerprint"]

END = 1 << 16
"""Bytes hashed at each end of a file."""


def fingerprint(dataset: Dataset) -> str:
    """32 hex digits: blake2b over the class names, the sorted keys with their splits, and of each image and label file the size and
    the first and last 64 KiB (of samples in memory, all pixels). Paths and the order do not count, so machines agree.
    """
    digest = blake2b("\0".join(dataset.classes.names).encode(), digest_size=16)
    for record in sorted(dataset.records, key=lambda record: record.key):
        digest.update(f"\n{record.key}\0{record.split}\0".encode())
        for part in _content(record, dataset.reader):
            digest.update(part)
    return digest.hexdigest()


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
