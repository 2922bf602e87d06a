"""An image file without truth, as a Sample, with the scale and the place that the file knows."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from intarsia.core.errors import OptionError
from intarsia.core.sample import Sample
from intarsia.data.images import read_image
from intarsia.data.raster_files import SUFFIXES, has_place

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["image_sample"]


def image_sample(path: Path, spacing: tuple[float, ...] | None = None) -> Sample:
    """The image, its stem as key; a GeoTIFF with its place on Earth, any other with the given `spacing`, mm a pixel on each axis.

    Raises DataError for a file that cannot be read, MissingExtra for a GeoTIFF where rasterio is not installed, OptionError for a
    `spacing` that is not above 0, or that cannot be that of a GeoTIFF.
    """
    if spacing is not None and not (len(spacing) == 2 and all(0 < step < inf for step in spacing)):
        raise OptionError("--spacing", expected="millimetres above 0 along each of two axes", received=spacing)
    if path.suffix.lower() in SUFFIXES and has_place(path):
        from intarsia.data.formats.geotiff import raster_sample

        sample = raster_sample(path)
        if spacing is not None and sample.spacing is None:
            raise OptionError(
                "--spacing",
                expected=f"none for {path}, whose pixels are in degrees or in no known unit",
                received=spacing,
                hint="Warp it to metres, `rio warp --dst-crs EPSG:...`, and it knows its own.",
            )
        return sample
    return Sample(read_image(path), key=path.stem, spacing=spacing)
