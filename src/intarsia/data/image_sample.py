"""An image file without truth, as a Sample, with the scale and the place that the file knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.sample import Sample
from intarsia.data.images import read_image
from intarsia.data.raster_files import SUFFIXES, has_place

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["image_sample"]


def image_sample(path: Path, spacing: tuple[float, ...] | None = None) -> Sample:
    """The image, its stem as key; a GeoTIFF with its place on Earth, any other with the given `spacing`, mm a pixel on each axis.

    Raises DataError for a file that cannot be read, MissingExtra for a GeoTIFF where rasterio is not installed.
    """
    if path.suffix.lower() in SUFFIXES and has_place(path):
        from intarsia.data.formats.geotiff import raster_sample

        return raster_sample(path)
    return Sample(read_image(path), key=path.stem, spacing=spacing)
