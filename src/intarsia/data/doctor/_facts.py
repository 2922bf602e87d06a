"""Facts: what one pair of image and label says of itself, read once and small enough to keep for every pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from intarsia.core.errors import DataError
from intarsia.core.segments import Segments
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
MOST_VALUES = 4096
"""Different values beyond which a label is no label map; none are counted then."""


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
    lossy: bool = False
    counts: dict[int, int] = field(default_factory=dict)
    """The pixels of each value, where it has one channel and not too many values."""
    between: dict[int, int] = field(default_factory=dict)
    """Of those, the pixels that lie between two others along a line and whose value lies between theirs."""
    edges: int = 0
    """The pixels that differ from the next along a line."""
    colours: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """The pixels of each colour of a label in RGB, where there are not too many."""
    parts: dict[int, int] = field(default_factory=dict)
    """The connected parts of each value above 0."""


@dataclass(frozen=True)
class Facts:
    """A pair, or one half of it."""

    record: Record
    image: ImageFacts | None
    label: LabelFacts | None
    areas: tuple[tuple[int, float], ...] = ()
    """(class, pixels) of each segment, where the truth could be read."""
    truth: tuple[int, ...] = ()
    """The size of the truth, where there is one that could be read."""
    problem: DataError | None = None
    """Why the truth could not be read."""


def read_facts(record: Record, *, reader: Reader | None, pictures: bool) -> Facts:
    """The facts of one pair, as the reader of its data set has it; `pictures` tells whether a label file is a picture of ids."""
    image = None if record.image is None else _image(record, reader)
    label, values = _label(record.label) if pictures and record.label is not None and _is_picture(record.label) else (None, None)
    areas: tuple[tuple[int, float], ...] = ()
    truth: tuple[int, ...] = ()
    problem = None
    if reader is not None and image is not None and not image.error and not (label and label.error):
        try:
            segments = _truth(record, reader, values)
            if segments is not None:
                truth = segments.size
                counted = Segments(segments.ids, segments.classes).areas  # a file may tell others than its pixels
                areas = tuple(zip(segments.classes.tolist(), counted.tolist(), strict=True))
        except DataError as error:
            problem = error
    return Facts(record, image, label, areas, truth, problem)


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
    """The facts of a label file, and its ids (H, W), of a palette the indices; None where it holds none."""
    lossy = path.suffix.lower() in (".jpg", ".jpeg", ".webp")
    mode = "I"
    try:
        if path.suffix.lower() == ".npy":
            values = read_labels(path)
        else:
            with Image.open(path) as picture:  # the header alone
                mode = picture.mode
            values = colours_of(path) if mode in COLOURED else read_image(path)[..., 0] if lossy else read_labels(path)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, DataError) as error:
        return LabelFacts(error=str(error) or type(error).__name__, lossy=lossy), None
    facts: dict[str, Any] = {"size": values.shape[:2], "dtype": str(values.dtype), "mode": mode, "lossy": lossy}
    if mode in COLOURED:
        return LabelFacts(**facts, colours=_colours(values)), None
    counted, counts = np.unique(values, return_counts=True)
    if values.dtype.kind not in "ui" or len(counted) > MOST_VALUES:
        return LabelFacts(**facts), None
    label = LabelFacts(
        **facts | {"size": values.shape},
        counts=dict(zip(counted.tolist(), counts.tolist(), strict=True)),
        between=_between(values),
        edges=sum(int(np.count_nonzero(np.diff(values.astype(np.int64), axis=axis))) for axis in (-1, -2)),
        parts=_parts(values, counted) if values.ndim == 2 and len(counted) <= 256 else {},
    )
    return label, None if lossy else values


def colours_of(path: Path) -> NDArray[Any]:
    """(H, W, 3) of a label file in colours; grey with alpha as three equal channels."""
    values = read_image(path)
    return values[..., :3] if values.shape[-1] >= 3 else np.repeat(values[..., :1], 3, axis=-1)


def _colours(values: NDArray[Any]) -> dict[tuple[int, int, int], int]:
    if values.dtype != np.uint8:
        return {}
    packed = values.astype(np.int32) @ np.array([65536, 256, 1], np.int32)  # (H, W, 3) -> (H, W)
    found, counts = np.unique(packed, return_counts=True)
    if len(found) > MOST_VALUES:
        return {}
    return {
        (value >> 16, value >> 8 & 255, value & 255): count for value, count in zip(found.tolist(), counts.tolist(), strict=True)
    }


def _between(values: NDArray[Any]) -> dict[int, int]:
    """Of each value the pixels with a lower neighbour on one side and a higher one on the other, along either axis."""
    signed = values.astype(np.int64)
    inner = np.zeros(values.shape, np.bool_)
    for axis in (-1, -2):
        moved = np.moveaxis(signed, axis, -1)
        here, before, after = moved[..., 1:-1], moved[..., :-2], moved[..., 2:]
        np.moveaxis(inner, axis, -1)[..., 1:-1] |= ((before < here) & (here < after)) | ((before > here) & (here > after))
    found, counts = np.unique(values[inner], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _parts(values: NDArray[Any], counted: NDArray[Any]) -> dict[int, int]:
    """The 8-connected parts of each value above 0."""
    parts = {}
    for value in counted[counted > 0].tolist():
        parts[value] = cv2.connectedComponents((values == value).astype(np.uint8), connectivity=8)[0] - 1
    return parts
