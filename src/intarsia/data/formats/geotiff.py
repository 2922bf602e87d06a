"""geotiff: rasters that know their place on Earth, labels as rasters on the same grid or as polygons in GeoJSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import hypot
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import (
    CannotHold,
    DatasetNotFound,
    LabelError,
    MissingExtra,
    OptionError,
    PairingError,
    UnreadableFile,
)
from intarsia.core.files import whole_file
from intarsia.core.sample import Sample
from intarsia.data.class_files import coding_near, find_class_file, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, unique_keys, whole_folder
from intarsia.data.geojson import VECTOR, burnt, class_of, features
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import write_bytes
from intarsia.data.raster_files import first_image, has_place, left_over, rasters
from intarsia.data.records import Record, ends, told_left_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["GeoTIFF", "raster_sample"]


class GeoTIFF:
    """`images/KEY.tif` and `labels/KEY.tif` or `labels/KEY.geojson`, also within `train/`, `val/`, `test/`; or `KEY_rgb.tif` beside
    `KEY_mask.tif` or `KEY_labels.geojson`. A label raster holds a class id in each pixel of the image's grid; polygons, in a
    reference system of their own, are objects of the class that their property `attribute` names, and what no polygon covers is
    nothing. Pixels without data are not valid, and void; so are those of a label raster's own nodata where no class has that id.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        dtypes=("uint8", "uint16", "int16", "float32"),
        channels=None,
        unlabelled=True,
        splits=("", "train", "val", "test"),
        split_folders=False,
        grid=("transform", "crs", "nodata", "spacing", "valid"),
    )
    looks: ClassVar[str] = "images/ + labels/ of GeoTIFF, or KEY_rgb.tif + KEY_mask.tif (or KEY_labels.geojson)"

    @staticmethod
    def detect(path: Path, *, tile: int | None = None, **_: Any) -> str:
        """A TIFF with a place on Earth among the images."""
        first = first_image(path)
        return f"{first.relative_to(path).as_posix()} has a place on Earth" if first and has_place(first) else ""

    @staticmethod
    def open(
        path: Path,
        *,
        tile: int | None = None,
        attribute: str = "label",
        objects: str | None = None,
        classes: Sequence[str] | str | Path | None = None,
    ) -> Dataset:
        """The data set in a folder.

        `tile` cuts each raster into images of so many pixels each way, the last ones smaller. `attribute` is the property that
        tells the class of a polygon, `objects` the only class of polygons that have none. `classes` are names by id or a class
        file; left out, one in the folder, else the ids are the names.
        """
        if tile is not None and tile < 1:
            raise OptionError("tile", expected="pixels, at least 1", received=tile)
        found = rasters(path)
        if not found:
            raise DatasetNotFound(str(path), expected=GeoTIFF.looks, received="neither")
        records = [Record(key, image, label, split) for key, image, label, split in found]
        labels = [record.label for record in records if record.label is not None]
        coding = _coding(path, labels, attribute, objects, classes)
        if tile is not None:
            records = [
                Record(f"{record.key}/{top:06d}_{left:06d}", record.image, record.label, record.split)
                for record in records
                for top, left in _corners(record.image, tile)
            ]
        reader = RasterReader(coding, attribute if objects is None else None, tile)
        records = found_images(unique_keys(records), [path])
        dataset = Dataset(records, coding.classes, reader, name=path.name, root=path, format="geotiff")
        dataset.notes = told_left_over(left_over(path))
        return dataset

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The rasters that no name pairs with others, and the polygons without raster."""
        return left_over(path)

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `SPLIT/images/KEY.tif`, `SPLIT/labels/KEY.tif` on the same grid, and `classes.json`."""
        rasterio = _rasterio()
        check(GeoTIFF, dataset, "geotiff")
        nowhere = [record.key for record in dataset.records if "transform" not in (dataset.reader.grid(record).get("geo") or {})]
        if nowhere:
            raise CannotHold("geotiff", expected="images with a place on Earth", received=nowhere[:3], hint="Nothing was written.")
        coding = Coding.from_classes(dataset.classes)
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                bands = [("images", np.moveaxis(sample.image, -1, 0))]  # (H, W, C) -> (C, H, W)
                if sample.segments is not None:
                    bands.append(
                        (
                            "labels",
                            coding.labels(sample.segments).astype(np.uint8 if len(coding.classes) < 254 else np.uint16)[None],
                        )
                    )
                assert sample.geo is not None  # seen to above
                for place, array in bands:
                    with whole_file(folder / record.split / place / f"{inner_key(record)}.tif") as draft:
                        profile = {"count": len(array), "height": array.shape[1], "width": array.shape[2], "dtype": array.dtype}
                        transform = rasterio.Affine(*sample.geo["transform"])
                        nodata = sample.geo.get("nodata") if place == "images" else None
                        more = {"crs": sample.geo.get("crs"), "transform": transform, "nodata": nodata, "compress": "deflate"}
                        more["photometric"] = "minisblack"  # no channel is taken for alpha
                        with rasterio.open(draft, "w", driver="GTiff", **profile, **more) as file:
                            file.write(array)
            write_bytes(folder / "classes.json", write_classes(coding))


@dataclass(frozen=True)
class RasterReader:
    """Reads a raster, or a window of it, and its labels there."""

    coding: Coding
    attribute: str | None
    tile: int | None

    def image(self, record: Record) -> NDArray[Any]:
        """(H, W, C) in the file's own dtype."""
        with _opened(record.image) as file:
            return np.ascontiguousarray(np.moveaxis(file.read(window=self._window(record, file)), 0, -1))  # (C, H, W) -> (H, W, C)

    def segments(self, record: Record) -> Segments | None:
        """A row for each class of a raster, or for each polygon that has a pixel, void where the image has no data."""
        if record.label is None:
            return None
        with _opened(record.image) as file:
            window = self._window(record, file)
            invalid = file.dataset_mask(window=window) == 0  # (H, W)
            if record.label.suffix.lower() in VECTOR:
                transform = file.transform if window is None else file.window_transform(window)
                index = None if self.attribute is None else partial(class_of, coding=self.coding, attribute=self.attribute)
                return burnt(record.label, index, crs=file.crs, transform=transform, void=invalid)
            with _opened(record.label) as truth:
                same = truth.transform.almost_equals(file.transform, 1e-3 * abs(file.transform.a)) and truth.crs == file.crs
                if truth.shape != file.shape or not same:
                    raise PairingError(
                        str(record.label),
                        expected=f"the grid of {record.image}: {file.shape}, {file.crs}, {tuple(file.transform)[:6]}",
                        received=f"{truth.shape}, {truth.crs}, {tuple(truth.transform)[:6]}",
                        hint="Warp it to the grid of the image, nearest neighbour: `rio warp --like`.",
                    )
                ids, nowhere = _ids(truth, record.label, window)
                if truth.nodata not in self.coding.ids:  # a class file may name it
                    ids, invalid = np.where(nowhere, self.coding.ids[0], ids), invalid | nowhere
                segments = self.coding.segments(ids, str(record.label))
        if invalid.any():
            segments = segments.with_ids(np.where(invalid, -1, segments.ids)).compact()
        return segments

    def grid(self, record: Record) -> dict[str, Any]:
        """Where the pixels lie: the affine transform, the reference system as WKT, nodata; metres a pixel where it is in metres."""
        with _opened(record.image) as file:
            window = self._window(record, file)
            valid = file.dataset_mask(window=window) > 0
            transform = file.transform if window is None else file.window_transform(window)
            crs = file.crs
            metres = crs.linear_units_factor[1] if crs and crs.is_projected else None
            geo = {"transform": tuple(transform)[:6], "crs": crs.to_wkt() if crs else None, "nodata": file.nodata}
        down, across = hypot(transform.b, transform.e), hypot(transform.a, transform.d)  # the grid may be turned
        more = {} if metres is None else {"spacing": (down * metres, across * metres)}
        return {"geo": geo} | more | ({} if valid.all() else {"valid": valid})

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of both files."""
        return ends(record.image, record.label)

    def _window(self, record: Record, file: Any) -> Any:
        """The window of a tile, by its key; None for the whole."""
        if self.tile is None:
            return None
        top, left = (int(number) for number in record.key.rpartition("/")[2].split("_"))
        from rasterio.windows import Window

        return Window(left, top, min(self.tile, file.width - left), min(self.tile, file.height - top))


def raster_sample(path: Path) -> Sample:
    """A raster without truth, with its place on Earth."""
    record = Record(path.stem, path)
    reader = RasterReader(Coding.from_names(["any"]), None, None)
    return Sample(reader.image(record), key=record.key, **reader.grid(record))


def _coding(
    path: Path, labels: list[Path], attribute: str, objects: str | None, classes: Sequence[str] | str | Path | None
) -> Coding:
    """What ids and attributes mean."""
    vector = [label for label in labels if label.suffix.lower() in VECTOR]
    options: dict[str, Any] = {"nothing": True} if vector else {}
    if objects is not None:
        return Coding.from_classes(ClassSet((objects,), things=(objects,), nothing=True))
    if isinstance(classes, str | Path):
        return coding_near(path, path / classes if (path / classes).is_file() else Path(classes))
    if classes is not None:
        return Coding.from_names(list(classes), **options).with_void(None)
    if find_class_file(path):
        return coding_near(path, above=0)
    if vector:
        names = sorted(
            {str(properties[attribute]) for label in vector for properties, _ in features(label)[0] if attribute in properties}
        )
        if not names:
            there = sorted({name for properties, _ in features(vector[0])[0] for name in properties})[:12]
            raise LabelError(
                str(vector[0]),
                expected=f"a property {attribute!r}",
                received=f"only {', '.join(map(repr, there))}" if there else "polygons without properties",
                hint="Name one that tells the class: attribute='...'; or say what all polygons are: objects='building'.",
            )
        ids = [int(name) if name.isdigit() else place for place, name in enumerate(names)]
        return Coding(
            ClassSet(tuple(names), things=tuple(names), nothing=True),
            tuple(ids) if len(set(ids)) == len(ids) else tuple(range(len(ids))),
        )
    if not labels:
        return coding_near(path, above=0)
    seen: set[int] = set()
    for label in labels:
        with _opened(label) as file:
            values, nowhere = _ids(file, label)
            seen |= set(np.unique(values[~nowhere]).tolist())
    return Coding(ClassSet(tuple(f"label {value}" for value in sorted(seen))), tuple(sorted(seen)))


def _ids(file: Any, path: Path, window: Any = None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(H, W) the ids of a label raster, and where it declares no data. LabelError for several bands and for fractions."""
    if file.count > 1:
        raise LabelError(str(path), expected="one band of ids", received=f"{file.count} bands")
    labels = file.read(1, window=window)
    nowhere = np.isnan(labels) if file.nodata is not None and np.isnan(file.nodata) else labels == file.nodata
    if labels.dtype.kind == "f":  # written so by many tools
        whole = np.where(nowhere | ~np.isfinite(labels), 0, labels).astype(np.int32)
        if not np.array_equal(whole[~nowhere], labels[~nowhere]):
            raise LabelError(str(path), expected="whole numbers", received="fractions", hint="It was interpolated.")
        labels = whole
    return labels, np.broadcast_to(nowhere, labels.shape)


def _corners(image: Path | None, tile: int) -> list[tuple[int, int]]:
    """(top, left) of each tile of a raster."""
    with _opened(image) as file:
        return [(top, left) for top in range(0, file.height, tile) for left in range(0, file.width, tile)]


def _opened(path: Path | None) -> Any:
    """The raster of rasterio. Raises UnreadableFile for what is none."""
    rasterio = _rasterio()
    try:
        return rasterio.open(path)
    except rasterio.RasterioIOError as error:
        raise UnreadableFile(str(path), expected="a whole GeoTIFF", received=str(error)) from error


def _rasterio() -> Any:
    try:
        import rasterio
    except ImportError as error:
        raise MissingExtra("reading GeoTIFF", extra="geo") from error
    return rasterio
