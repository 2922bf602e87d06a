"""check: what is wrong with the files, found before anything is trained."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import LabelError, LeakError, PairingError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from intarsia.data.dataset import Dataset
    from intarsia.data.records import Record

__all__ = ["check", "sizes_differ"]


def check(dataset: Dataset, *, threads: int | None = None, waive: Collection[str] = ()) -> None:
    """Read every file once, in parallel, and raise the first DataError in the order of the records; the labels stay cached.

    Found here: missing and corrupt files, images without mask, sizes that differ, colours or unknown ids in a label, channels or
    depths that differ between images, a data set without images, one in which no pixel is labelled, masks of 0 and 255
    whose 255 was taken for void, and, unless `waive` names "leak", an image that is in two splits, pixel by pixel.
    """
    if not len(dataset):
        raise PairingError(dataset.where, expected="at least one image", received="none")

    def facts(index: int) -> tuple[tuple[int, str], set[int], bool, bytes]:
        sample = dataset[index]
        if sample.segments is None:
            name = str(dataset.records[index].image or sample.key)
            hint = "Name the mask folder: masks='...'." if dataset.format == "mask_folder" else "Add it, or remove the image."
            raise PairingError(name, expected="a mask", received="none", hint=hint)
        nothing = bool((sample.segments.ids[0] == 0).any())
        return (
            (sample.image.shape[-1], str(sample.image.dtype)),
            {*sample.segments.classes.tolist(), *([-1] if nothing else [])},
            bool(sample.segments.void.any()),
            blake2b(np.ascontiguousarray(sample.image).data, digest_size=16).digest(),
        )

    with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
        try:
            found = list(pool.map(facts, range(len(dataset))))  # in order, so the first error is always the same one
        finally:
            pool.shutdown(cancel_futures=True)
    first = dataset.records[0]
    wanted = found[0][0]
    if "leak" not in waive:
        _no_leak(dataset.records, [digest for *_, digest in found])
    for record, (kind, *_) in zip(dataset.records, found, strict=True):
        if kind != wanted:
            raise PairingError(
                str(record.image or record.key),
                expected=f"{wanted[0]} channels of {wanted[1]} as in {first.image or first.key}",
                received=f"{kind[0]} of {kind[1]}",
                hint="Save all images with the same channels and depth, for instance without alpha.",
            )
    labelled = set().union(*(classes for _, classes, *_ in found))
    void = any(void for _, _, void, _ in found)
    if void and not labelled:
        raise LabelError(dataset.where, expected="labelled pixels", received="void everywhere", hint="Look at the id of void.")
    if void and labelled == {0} and len(dataset.classes) > 1:
        raise LabelError(
            dataset.where,
            expected=f"pixels of {', '.join(dataset.classes.names[1:3])} too",
            received=f"only {dataset.classes.names[0]} and void, in all masks",
            hint='If 255 is a class and not void, say so in classes.json: [{"name": ..., "id": 0}, {..., "id": 255}].',
        )


def _no_leak(records: Sequence[Record], digests: Sequence[bytes]) -> None:
    """Raises LeakError for the first image that is in two splits."""
    home: dict[bytes, Record] = {}
    for record, digest in zip(records, digests, strict=True):
        other = home.setdefault(digest, record)
        if other.split != record.split:
            raise LeakError(
                str(record.image or record.key),
                expected=f"an image that is in the split {record.split!r} alone",
                received=f"the same, pixel by pixel, as {other.image or other.key} in {other.split!r}",
                hint="A score on images trained on means nothing: remove one (`intarsia doctor` lists all), or --waive leak.",
            )


def sizes_differ(record: Record, image: tuple[int, ...], label: tuple[int, ...]) -> PairingError:
    """The error of a label whose size is not that of its image."""
    jpeg = record.image is not None and record.image.suffix.lower() in (".jpg", ".jpeg")  # other kinds are taken as stored
    turned = jpeg and image[-2:] == label[-2:][::-1]
    return PairingError(
        str(record.label or record.key),
        expected=f"the size of its image {record.image or ''}, {_size(image)}",
        received=_size(label),
        hint="The image was turned upright by its EXIF orientation: turn the label too, or strip the EXIF." if turned else "",
    )


def _size(size: tuple[int, ...]) -> str:
    return "x".join(str(extent) for extent in reversed(size)) + (" (width x height)" if len(size) == 2 else "")
