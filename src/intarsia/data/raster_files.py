"""Files of GeoTIFF: which image goes with which label, and whether one knows its place on Earth."""

from __future__ import annotations

import re
import struct
from itertools import chain
from typing import TYPE_CHECKING

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from intarsia.core.errors import PairingError
from intarsia.data.folders import files_under, places, walked
from intarsia.data.geojson import VECTOR
from intarsia.data.images import LABEL_SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["first_image", "has_place", "left_over", "rasters"]

SUFFIXES = (".tif", ".tiff")
GEO_KEYS = 34735
"""The TIFF tag that every GeoTIFF has (OGC 19-008r4, 7.1.2)."""
IMAGE_NAME = re.compile(r"(?P<key>.+?)[_-](rgb|image|img|ms|pan|sar)$", re.IGNORECASE)
LABEL_NAME = re.compile(r"(?P<key>.+?)[_-](mask|label|labels|gt)$", re.IGNORECASE)


def has_place(file: Path) -> bool:
    """Whether the first directory of a TIFF has the tag of GeoTIFF; a broken file has none."""
    try:
        with file.open("rb") as data:
            header = data.read(8)
            if header[:2] not in (b"II", b"MM"):
                return False
            directory = ImageFileDirectory_v2(header + data.read(8) if 43 in header[2:4] else header)  # 43: BigTIFF
            data.seek(directory.next)
            directory.load(data)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):  # Pillow's ways to say broken
        return False
    return GEO_KEYS in directory


def first_image(path: Path) -> Path | None:
    """The first image that `rasters` would find."""
    inner = (file for _, folder, _ in places(path) for file in sorted(walked(folder)))
    named = (file for file in sorted(path.iterdir()) if IMAGE_NAME.fullmatch(file.stem))
    return next((file for file in chain(inner, named) if file.suffix.lower() in SUFFIXES), None)


def left_over(path: Path) -> list[Path]:
    """The rasters that no name pairs with others, where names tell what belongs together, and the polygons without raster."""
    found = rasters(path)
    taken = {file for _, image, label, _ in found for file in (image, label)}
    if any(file is not None and file.parent == path for file in taken):
        files, keys = [file for file in sorted(path.iterdir()) if file not in taken], {key for key, *_ in found}
        named = {file: LABEL_NAME.fullmatch(file.stem) for file in files if file.suffix.lower() in VECTOR}
        alone = {file for file, match in named.items() if match and match["key"] not in keys}
        return [file for file in files if file.suffix.lower() in SUFFIXES or file in alone]
    inner = [(files_under(folder, SUFFIXES), below) for _, folder, below in places(path) if below is not None and below.is_dir()]
    return [file for images, below in inner for key, file in files_under(below, VECTOR[:1]).items() if key not in images]


def rasters(path: Path) -> list[tuple[str, Path, Path | None, str]]:
    """(key, image, label or None, split) of each image, in folders and below, else by their names. Raises PairingError for a label
    raster without image, and for labels that are no rasters.
    """
    found: list[tuple[str, Path, Path | None, str]] = []
    for split, folder, below in places(path):
        images = files_under(folder, SUFFIXES)
        labels: dict[str, Path] = {}
        if below is not None and below.is_dir():
            for suffixes in ((".json",), (".geojson",), SUFFIXES):  # a raster before polygons
                labels |= files_under(below, suffixes)
        alone = next((label for key, label in labels.items() if key not in images and label.suffix.lower() in SUFFIXES), None)
        if images and alone:
            raise PairingError(str(alone), expected=f"an image of its name in {folder}", received="none")
        if images and not labels and below is not None and any(file.suffix.lower() in LABEL_SUFFIXES for file in walked(below)):
            hint = "format='mask_folder' pairs them pixel by pixel, without their place on Earth."
            raise PairingError(str(below), expected="labels as GeoTIFF or GeoJSON", received="other pictures", hint=hint)
        found += [(key, file, labels.get(key), split) for key, file in images.items()]
    if found:
        return found
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in (*SUFFIXES, *VECTOR))
    labels_of: dict[str, Path] = {}
    for file in sorted(files, key=lambda file: file.suffix.lower() in VECTOR):
        if match := LABEL_NAME.fullmatch(file.stem):
            labels_of.setdefault(match["key"], file)
    pairs = ((IMAGE_NAME.fullmatch(file.stem), file) for file in files if file.suffix.lower() in SUFFIXES)
    return [(match["key"], file, labels_of.get(match["key"]), "") for match, file in pairs if match]
