"""Polygons of GeoJSON, drawn on the grid of a raster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import LabelError
from intarsia.ops.packing import pack_crops, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments
    from intarsia.data.coding import Coding

    Properties = Mapping[str, Any]

__all__ = ["VECTOR", "burnt", "class_of", "features"]

VECTOR = (".geojson", ".json")
LONGITUDE_LATITUDE = "OGC:CRS84"
"""The reference system of a file that tells none (RFC 7946, section 4)."""


def features(path: Path) -> tuple[list[tuple[Properties, dict[str, Any]]], str]:
    """(properties, geometry) of each polygon, and the reference system that they are in. LabelError for what is no GeoJSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        crs = (content.get("crs") or {}).get("properties", {}).get("name", LONGITUDE_LATITUDE)
        found = [
            (feature.get("properties") or {}, feature["geometry"]) for feature in content["features"] if feature.get("geometry")
        ]
        areas = [(properties, geometry) for properties, geometry in found if geometry["type"] in ("Polygon", "MultiPolygon")]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise LabelError(str(path), expected="a GeoJSON FeatureCollection", received=str(error)) from error
    return areas, crs


def burnt(
    path: Path, class_of: Callable[[Path, Properties], int] | None, *, crs: Any, transform: Any, void: NDArray[np.bool_]
) -> Segments:
    """A row for each polygon that covers the middle of a pixel of the grid that `transform` lays in `crs`; void stays void.

    `class_of` tells the class by the properties; without it all are of class 0.
    """
    from rasterio.features import rasterize
    from rasterio.warp import transform_geom

    polygons, own = features(path)
    classes, crops = [], []
    for properties, geometry in polygons:
        index = class_of(path, properties) if class_of else 0
        try:
            shape = transform_geom(own, crs, geometry) if crs else geometry
            mask = rasterize([(shape, 1)], out_shape=void.shape, transform=transform, dtype=np.uint8).view(np.bool_)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # rasterio's are among them
            raise LabelError(str(path), expected=f"polygons in {own}", received=str(error)) from error
        if mask.any():
            window = window_of(mask)
            classes.append(index)
            crops.append((window, mask[window]))
    return pack_crops(crops, void.shape, classes, void=void).compact()


def class_of(path: Path, properties: Properties, *, coding: Coding, attribute: str) -> int:
    """The class that a property names, or tells by its id. LabelError for one that is none."""
    value = properties.get(attribute)
    if isinstance(value, int) and value in coding.ids:
        return coding.ids.index(value)
    if str(value) in coding.classes.index_of:
        return coding.classes.index(str(value))
    raise LabelError(
        str(path),
        expected=f"in {attribute!r} a class: {', '.join(coding.classes.names)}, or its id",
        received=repr(value),
        hint=f"Properties there are: {', '.join(properties)}. Name another with attribute=, or objects= for a single class.",
    )
