"""Rasters that no name pairs with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._facts import Facts
from intarsia.data.doctor._finding import Check
from intarsia.data.raster_files import left_over
from intarsia.data.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._survey import Survey

__all__ = ["unused_rasters"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    files = left_over(survey.path) if survey.format == "geotiff" and survey.facts else []
    return [Facts(Record(file.name, file), None, None) for file in files], {}


unused_rasters = Check(
    "warning",
    _cases,
    "{count} raster{s} {count:is|are} left out, for no name tells what {count:it belongs|they belong} to: {first}",
    "Name image and label alike: KEY_rgb.tif with KEY_mask.tif or KEY_labels.geojson; or put them into images/ and labels/",
    of_images=True,
)
