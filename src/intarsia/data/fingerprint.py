"""fingerprint: a name for the content of a data set."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intarsia.data.dataset import Dataset

__all__ = ["fingerprint"]


def fingerprint(dataset: Dataset) -> str:
    """32 hex digits: blake2b over the class names, the sorted keys with their splits, and what the reader tells of the content of
    each: of files the size and the first and last 64 KiB, of samples in memory all pixels. Paths and the order do not count, so
    machines agree.
    """
    digest = blake2b("\0".join(dataset.classes.names).encode(), digest_size=16)
    for record in sorted(dataset.records, key=lambda record: record.key):
        digest.update(f"\n{record.key}\0{record.split}\0".encode())
        for part in dataset.reader.content(record):
            digest.update(part)
    return digest.hexdigest()
