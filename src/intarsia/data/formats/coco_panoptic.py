"""coco_panoptic: every pixel a segment, numbers of segments as colours of a PNG, their classes in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from intarsia.core.errors import DatasetNotFound, IntarsiaError, LabelError
from intarsia.core.segments import Segments
from intarsia.data.coco_file import (
    Category,
    ImageEntry,
    file_content,
    ordered_splits,
    places_of,
    read_json,
    shared_classes,
    split_of,
)
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, listing, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import IMAGE_SUFFIXES, read_image, write_bytes, write_image
from intarsia.data.records import Record, beside, ends, put_image
from intarsia.ops.renumbering import renumbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet

__all__ = ["CocoPanoptic", "Annotation", "id_colours", "segment_entries"]  # noqa: RUF022  the first is the member


class Segment(Struct, gc=False):
    """A segment: its number in the PNG, and what it is."""

    id: int
    category_id: int
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | bool = 0
    score: float | UnsetType = UNSET
    """Not of COCO's truths; its results may have it."""


class Annotation(Struct):
    """The segments of an image."""

    image_id: int
    file_name: str
    segments_info: list[Segment]


class Content(Struct):
    """The whole file."""

    images: list[ImageEntry]
    annotations: list[Annotation]
    categories: list[Category]
    info: Raw = Raw(b"{}")


class CocoPanoptic:
    """`annotations/panoptic_SPLIT.json` beside the folder `panoptic_SPLIT/` of PNGs, images in `SPLIT/` or `images/SPLIT/`; or
    `panoptic.json`, `panoptic/` and `images/`. A pixel's number is R + 256 G + 65536 B; 0 is void.

    Kirillov et al. 2019, "Panoptic Segmentation", arXiv 1801.00868; cocodataset.org/#format-data.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(instances=True, crowd=True, scores=True, nothing=False)
    looks: ClassVar[str] = (
        "annotations/panoptic_train.json + annotations/panoptic_train/ + images, or panoptic.json + panoptic/ + images/"
    )

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A `panoptic*.json` beside a folder of its name."""
        found = _files(path)
        return f"{found[0][1].relative_to(path).as_posix()} and its folder" if found else ""

    @staticmethod
    def open(path: Path, *, images: str | None = None) -> Dataset:
        """The data set in a folder; `images` names the folder of its images, where it has another name than the usual."""
        found = _files(path)
        if not found:
            raise DatasetNotFound(str(path), expected=CocoPanoptic.looks, received="none of them")
        records: list[Record] = []
        segments: list[list[Segment]] = []
        contents = [read_json(file, Content) for _, file in found]
        folders = []
        for (split, json), content in zip(found, contents, strict=True):
            folder = path / images if images is not None else _image_folder(path, json)
            folders.append(folder)
            pictures, labels = listing(folder), listing(json.with_suffix(""))
            _check_ids(json, content)
            names = {image.id: image.file_name for image in content.images}
            for annotation in content.annotations:
                inner = pictures.named(names[annotation.image_id])
                label = json.with_suffix("") / labels.named(annotation.file_name)
                records.append(Record(inner.with_suffix("").as_posix(), folder / inner, label, split))
                segments.append(annotation.segments_info)
        records = found_images(unique_keys(records), folders)
        categories = contents[0].categories
        told = {record.key: tuple(rows) for record, rows in zip(records, segments, strict=True)}
        reader = PanopticReader(told, {one.id: index for index, one in enumerate(categories)})
        classes = shared_classes([(file, one.categories, one.info) for (_, file), one in zip(found, contents, strict=True)])
        return Dataset(records, classes, reader, name=path.name, root=path, format="coco_panoptic")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The images and the PNGs of which the files tell no segments."""
        return beside(records, (file for record in records for file in (record.image, record.label)), IMAGE_SUFFIXES)

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `images/SPLIT/KEY`, `annotations/panoptic_SPLIT/KEY.png` and `annotations/panoptic_SPLIT.json`.

        What COCO has no field for (void's name, groups) stands under `info`, where other tools skip it.
        """
        check(CocoPanoptic, dataset, "coco_panoptic")
        with whole_folder(path) as folder:
            for split in dataset.splits or ("",):
                base = f"annotations/panoptic_{split}" if split else "panoptic"
                images: list[ImageEntry] = []
                annotations: list[Annotation] = []
                for record, sample in zip(dataset.records, dataset, strict=True):
                    if record.split != split:
                        continue
                    place, name = folder / "images" / split, f"{inner_key(record)}.png"
                    image = put_image(place / inner_key(record), record, sample.image).relative_to(place).as_posix()
                    images.append(ImageEntry(len(images) + 1, image, *sample.image.shape[1::-1]))
                    assert sample.segments is not None  # held, says the check
                    write_image(folder / base / name, id_colours(sample.segments))
                    annotations.append(Annotation(len(images), name, segment_entries(sample.segments)))
                write_bytes(folder / f"{base}.json", file_content(dataset.classes, images, annotations))


@dataclass(frozen=True)
class PanopticReader:
    """Reads the image and the PNG of a record; the classes of its segments are known."""

    told: Mapping[str, tuple[Segment, ...]]
    """Of each key its segments."""
    index: Mapping[int, int]
    """Of each category id the class."""

    def image(self, record: Record) -> NDArray[Any]:
        """(H, W, C) of the image file."""
        assert record.image is not None
        return read_image(record.image)

    def segments(self, record: Record) -> Segments:
        """A row for each segment in the order of the file. LabelError for a number that the file does not tell."""
        assert record.label is not None
        colours = read_image(record.label)
        if colours.dtype != np.uint8 or colours.shape[-1] < 3:
            raise LabelError(str(record.label), expected="colours (R, G, B) of 8 bit", received=f"{colours.dtype} {colours.shape}")
        four = cv2.cvtColor(np.ascontiguousarray(colours[..., :3]), cv2.COLOR_RGB2RGBA)  # (H, W, 4), to be read as one number
        numbers = four.view("<i4")[..., 0] & 0xFFFFFF  # (H, W)
        rows = self.told[record.key]
        known = {row.id: place for place, row in enumerate(rows, 1)} | {0: -1}
        try:
            ids = renumbered(numbers, known)
        except IntarsiaError as error:
            raise LabelError(
                str(record.label),
                expected=f"the numbers of its {len(rows)} segments, or 0 for void",
                received=", ".join(map(str, np.setdiff1d(numbers, [*known])[:5].tolist())),
            ) from error
        boxes = [(x, y, x + w, y + h) for row in rows if row.bbox for x, y, w, h in [row.bbox]]
        areas = [row.area for row in rows if row.area is not None]
        return Segments(
            ids[None],  # (H, W) -> (1, H, W)
            [self.index[row.category_id] for row in rows],
            crowd=[row.iscrowd != 0 for row in rows],
            scores=[1.0 if row.score is UNSET else row.score for row in rows],
            boxes=np.reshape(boxes, (-1, 4)) if len(boxes) == len(rows) else None,
            areas=areas if len(areas) == len(rows) else None,
        )

    def grid(self, record: Record) -> dict[str, Any]:
        """Nothing: photographs have no scale."""
        return {}

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of both files, and what the JSON says of the segments."""
        yield from ends(record.image, record.label)
        yield msgspec.json.encode(self.told[record.key])


def _files(path: Path) -> list[tuple[str, Path]]:
    """(split, JSON file) of each with a folder of its name: train, val, test, then others."""
    found = []
    for file in sorted([*path.glob("annotations/panoptic_*.json"), *path.glob("panoptic*.json")]):
        if file.with_suffix("").is_dir():
            found.append((split_of(file.stem.removeprefix("panoptic").removeprefix("_")), file))
    return ordered_splits(found)


def _check_ids(path: Path, content: Content) -> None:
    """Raises LabelError for ids given twice, and for those of no image or category that is listed."""
    images = [one.image_id for one in content.annotations]
    _, unknown = places_of(path, "image", [image.id for image in content.images], images)
    places_of(path, "annotated image", images, [])
    classes = [row.category_id for one in content.annotations for row in one.segments_info]
    _, strange = places_of(path, "category", [one.id for one in content.categories], classes)
    for what, wrong, ids in (("image", unknown, images), ("category", strange, classes)):
        if wrong.any():
            raise LabelError(
                str(path), expected=f"annotations of {what} ids that it lists", received=f"{what}_id {ids[int(wrong.argmax())]}"
            )
    for one in content.annotations:
        numbers = [0, *(row.id for row in one.segments_info)]
        if len(set(numbers)) < len(numbers):
            raise LabelError(
                f"{path}, {one.file_name}",
                expected="a number above 0 for each segment, each once",
                received=next(number for number in numbers if numbers.count(number) > 1),
            )


def _image_folder(path: Path, json: Path) -> Path:
    """Where the images of a file are."""
    split = json.stem.removeprefix("panoptic").removeprefix("_")
    places = [path / "images" / split, path / split, path / "images"]
    return next((place for place in places if place.is_dir() and place != path), path)


def id_colours(segments: Segments) -> NDArray[np.uint8]:
    """(H, W, 3) the rows as COCO's colours: row k is the number k + 1 = R + 256 G + 65536 B, black what is void or nothing.

    >>> id_colours(Segments([[[0, 1, -1]]], [4])).tolist()
    [[[0, 0, 0], [1, 0, 0], [0, 0, 0]]]
    """
    numbers = np.maximum(segments.ids[0], 0).astype(np.int32)
    return np.stack([numbers >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)  # (H, W) -> (H, W, 3)


def segment_entries(segments: Segments, *, scored: bool = False) -> list[Segment]:
    """What a file tells of each row: of a truth scores other than 1 too, `scored` all of them, as results do."""
    rows = zip(segments.boxes.tolist(), segments.areas.tolist(), segments.scores, strict=True)
    return [
        Segment(
            row + 1,
            int(segments.classes[row]) + 1,
            (x0, y0, x1 - x0, y1 - y0),
            area,
            int(segments.crowd[row]),
            float(str(score)) if scored or score != 1 else UNSET,  # the shortest text of a float32
        )
        for row, ((x0, y0, x1, y1), area, score) in enumerate(rows)
    ]
