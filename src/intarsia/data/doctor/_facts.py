"""Facts: what one pair of image and label says of itself, read once and small enough to keep for every pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from intarsia.core.errors import DataError, LabelError
from intarsia.core.segments import Segments
from intarsia.data.doctor._objects import ObjectFacts, object_facts
from intarsia.data.images import orientation, read_image, read_labels
from intarsia.data.label_files import IdLabels, ObjectLabels
from intarsia.data.records import FileReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.data.records import Reader, Record

__all__ = ["COLOURED", "Facts", "ImageFacts", "LabelFacts", "colours_of", "read_facts"]

COLOURED = ("RGB", "RGBA", "CMYK", "LA")
"""Pillow's modes of pictures that hold no ids."""
THUMB = 16
"""Pixels of a thumbnail each way."""
MOST_VALUES = 512
"""Different values or colours beyond which a label is no label map; none are kept then."""
MOST_PARTS = 256
"""Values up to which their connected parts are counted: as many as 8 bits hold."""


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image."""

    error: str = ""
    """Why it cannot be read; all else is then empty."""
    size: tuple[int, ...] = ()
    """As shown, EXIF orientation applied."""
    dtype: str = ""
    channels: int = 0
    orientation: int = 1
    """EXIF's (see `orientation`): 1 is upright."""
    digest: bytes = b""
    """Of the pixels."""
    thumb: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((THUMB, THUMB), np.uint8))


@dataclass(frozen=True)
class LabelFacts:
    """What is known of a label file that holds a value for each pixel."""

    error: str = ""
    size: tuple[int, ...] = ()
    dtype: str = ""
    mode: str = ""
    """Pillow's name: L and P hold ids, RGB colours; empty for what is no picture."""
    orientation: int = 1
    """As of an image: 1 is as stored."""
    lossy: bool = False
    table: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    """(K, 4): each value, where it has one channel and not too many values, with its `counts`, `between` and `parts`."""
    edges: int = 0
    """The pixels that differ from the next along a line."""
    packed: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """(K,) `colours` as one number each."""

    @property
    def counts(self) -> dict[int, int]:
        """The pixels of each value."""
        return self._column(1)

    @property
    def between(self) -> dict[int, int]:
        """Of those, the pixels that lie between two others along a line and whose value lies between theirs."""
        return self._column(2)

    @property
    def parts(self) -> dict[int, int]:
        """The connected parts of each value above 0."""
        return self._column(3)

    @property
    def colours(self) -> set[tuple[int, int, int]]:
        """Those of a label in RGB, where there are not too many."""
        return {(value >> 16, value >> 8 & 255, value & 255) for value in self.packed.tolist()}

    def _column(self, number: int) -> dict[int, int]:
        """Of each value a number above 0."""
        return {value: count for value, count in self.table[:, [0, number]].tolist() if count}


@dataclass(frozen=True)
class Facts:
    """A pair, or one half of it."""

    record: Record
    image: ImageFacts | None
    label: LabelFacts | None
    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    """(N, 2): class and pixels of each segment, where the truth could be read."""
    truth: tuple[int, ...] = ()
    """The size of the truth, where there is one that could be read."""
    problem: DataError | None = None
    """Why the truth could not be read."""
    objects: ObjectFacts | None = None
    """Of the truth, where it may tell objects and has any."""

    @property
    def areas(self) -> list[tuple[int, int]]:
        """(class, pixels) of each segment."""
        return [(index, pixels) for index, pixels in self.rows.tolist()]

    @property
    def unread(self) -> bool:
        """Whether what the label shows is not known."""
        return bool(self.problem or (self.image and self.image.error) or (self.label and self.label.error))


def read_facts(record: Record, *, reader: Reader | None, pictures: bool, things: NDArray[np.bool_] | None = None) -> Facts:
    """The facts of one pair, as the reader of its data set has it; `pictures` tells whether a label file is a picture of ids, and
    `things` (C,) which classes are, where the truth may tell objects.
    """
    image = None if record.image is None else _image(record, reader)
    label, values = None, None
    rows = np.zeros((0, 2), np.int32)
    truth: tuple[int, ...] = ()
    problem: DataError | None = None
    objects = None
    if pictures and record.label is not None and _is_picture(record.label):
        try:
            label, values = _label(record.label)
        except LabelError as error:
            problem = _alone(error)
    if reader is not None and image is not None and not image.error and not problem and not (label and label.error):
        try:
            segments = _truth(record, reader, values)
            if segments is not None:
                truth = segments.size
                counted = Segments(segments.ids, segments.classes).areas  # a file may tell others than its pixels
                rows = np.stack([segments.classes, counted], axis=1).astype(np.int32)  # (N) -> (N, 2)
                objects = None if things is None else object_facts(segments, counted, things)
        except DataError as error:
            problem = _alone(error)
    return Facts(record, image, label, rows, truth, problem, objects)


def _alone(error: DataError) -> DataError:
    """The same error without the calls that it came through, which would keep their arrays."""
    return type(error)(str(error))


def _truth(record: Record, reader: Reader, values: NDArray[Any] | None) -> Segments | None:
    """The segments, of values that have been decoded already where one file holds them all."""
    if values is not None and isinstance(reader, FileReader) and isinstance(reader.labels, IdLabels | ObjectLabels):
        return reader.labels.decode(values, str(record.label))
    return reader.segments(record)


def _image(record: Record, reader: Reader | None) -> ImageFacts:
    assert record.image is not None
    path = record.image
    try:
        pixels = read_image(path) if reader is None else reader.image(record)
    except DataError as error:
        return ImageFacts(error=str(error))
    if not pixels.size:
        return ImageFacts(error=f"{path}: no pixels, {pixels.shape}")
    grey = np.asarray(pixels, np.float32)
    grey = grey.reshape(-1, *grey.shape[-3:])[0].mean(axis=-1)  # (..., H, W, C) -> (H, W)
    low, high = float(grey.min()), float(grey.max())
    small = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    thumb = ((small - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    digest = blake2b(f"{pixels.dtype}{pixels.shape}".encode() + pixels.tobytes(), digest_size=16).digest()
    return ImageFacts("", pixels.shape[:-1], str(pixels.dtype), pixels.shape[-1], orientation(path), digest, thumb)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".jpg", ".jpeg", ".webp", ".npy")


def _label(path: Path) -> tuple[LabelFacts, NDArray[Any] | None]:
    """The facts of a label file, and its ids (H, W), of a palette the indices; None for colours and lossy files.

    Raises LabelError for a sound file that holds no ids.
    """
    lossy = path.suffix.lower() in (".jpg", ".jpeg", ".webp")
    mode = "I"
    try:
        if path.suffix.lower() == ".npy":
            values = read_labels(path)
        else:
            with Image.open(path) as picture:  # the header alone
                mode = picture.mode
            values = colours_of(path) if mode in COLOURED else read_image(path)[..., 0] if lossy else read_labels(path)
    except LabelError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, DataError) as error:
        return LabelFacts(error=str(error) or type(error).__name__, lossy=lossy), None
    size = values.shape[:2] if mode in COLOURED else values.shape
    facts = partial(LabelFacts, "", size, str(values.dtype), mode, orientation(path), lossy)
    if mode in COLOURED:
        return facts(packed=_packed(values)), None
    table = _table(values)
    edges = sum(int(np.count_nonzero(np.diff(values.astype(np.int64), axis=axis))) for axis in (-1, -2)) if len(table) else 0
    return facts(table=table, edges=edges), None if lossy else values


def colours_of(path: Path) -> NDArray[Any]:
    """(H, W, 3) of a label file in colours; grey with alpha as three equal channels."""
    values = read_image(path)
    return values[..., :3] if values.shape[-1] >= 3 else np.repeat(values[..., :1], 3, axis=-1)


def _packed(values: NDArray[Any]) -> NDArray[np.int32]:
    """(K,) the colours (R, G, B) as one number each; none where they are too many."""
    packed = values.astype(np.int32) @ np.array([65536, 256, 1], np.int32)  # (H, W, 3) -> (H, W)
    found = np.unique(packed)
    return found if values.dtype == np.uint8 and len(found) <= MOST_VALUES else found[:0].copy()


def _table(values: NDArray[Any]) -> NDArray[np.int32]:
    """(K, 4) the values with their pixels, those between two others, and their parts; K = 0 where they are no label map."""
    found, counts = np.unique(values, return_counts=True)
    if values.dtype.kind not in "ui" or not 0 < len(found) <= MOST_VALUES or max(-int(found[0]), int(found[-1])) >= 2**31:
        return np.zeros((0, 4), np.int32)
    inner = np.searchsorted(found, values[_inner(values)])
    parts = np.zeros(len(found), np.int64)
    if values.ndim == 2 and len(found) <= MOST_PARTS:
        for place in np.flatnonzero(found > 0):
            parts[place] = cv2.connectedComponents((values == found[place]).astype(np.uint8), connectivity=8)[0] - 1
    return np.stack([found, counts, np.bincount(inner, minlength=len(found)), parts], axis=1).astype(np.int32)  # (K) -> (K, 4)


def _inner(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a pixel has a lower neighbour on one side and a higher one on the other, along either axis."""
    signed = values.astype(np.int64)
    inner = np.zeros(values.shape, np.bool_)
    for axis in (-1, -2):
        moved = np.moveaxis(signed, axis, -1)
        here, before, after = moved[..., 1:-1], moved[..., :-2], moved[..., 2:]
        np.moveaxis(inner, axis, -1)[..., 1:-1] |= ((before < here) & (here < after)) | ((before > here) & (here > after))
    return inner
