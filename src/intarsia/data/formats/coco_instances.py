"""coco_instances: objects as polygons or run lengths in JSON, as COCO, Roboflow, CVAT and Label Studio write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from intarsia.core.errors import DatasetNotFound
from intarsia.data.coco_file import CocoFile, ImageEntry, file_content, ordered_splits, shared_classes, split_of
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, listing, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import IMAGE_SUFFIXES, read_image, write_bytes
from intarsia.data.records import Record, beside, ends, put_image
from intarsia.ops.object_rles import object_rles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["CocoInstances", "object_entries"]

PLACES = ("annotations/instances_*.json", "instances_*.json", "*/_annotations.coco.json")
"""A file for each split."""
SINGLE = ("instances.json", "annotations.json", "_annotations.coco.json", "result.json", "annotations/instances.json")
"""One file for all images, of which the first is taken."""


class CocoInstances:
    """`annotations/instances_SPLIT.json` with images in `SPLIT/` or `images/SPLIT/`, as COCO and CVAT have them; `SPLIT/` with
    `_annotations.coco.json` among its images, as of Roboflow; or one file `instances.json`, `annotations.json` or `result.json`
    (Label Studio) with `images/`. Unlabelled pixels are nothing; polygons are filled as by COCO's own code.

    Lin et al. 2014, "Microsoft COCO", arXiv 1405.0312; cocodataset.org/#format-data.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(instances=True, overlap=True, crowd=True, scores=True, void=False, background=False)
    looks: ClassVar[str] = "annotations/instances_train.json + images, train/_annotations.coco.json, or instances.json + images/"

    @staticmethod
    def detect(path: Path, *, annotations: str | None = None, **_: Any) -> str:
        """A file of one of the usual names, or named by the caller."""
        if annotations is not None:
            return f"{annotations}, named"
        found = _files(path)
        return found[0][1].relative_to(path).as_posix() if found else ""

    @staticmethod
    def open(path: Path, *, annotations: str | None = None, images: str | None = None) -> Dataset:
        """The data set in a folder; `annotations` names the JSON file and `images` the folder of its images, where they have other
        names than the usual.
        """
        found = [("", path / annotations)] if annotations is not None else _files(path)
        if not found:
            raise DatasetNotFound(
                str(path), expected=CocoInstances.looks, received="none of them", hint="Name the file: annotations='...'."
            )
        files = [CocoFile(file) for _, file in found]
        records: list[Record] = []
        place: list[tuple[int, int]] = []
        folders = []
        for number, ((split, json), file) in enumerate(zip(found, files, strict=True)):
            folder = path / images if images is not None else _image_folder(path, json)
            folders.append(folder)
            known = listing(folder)
            for entry_number, entry in enumerate(file.images):
                inner = known.named(entry.file_name)
                records.append(Record(inner.with_suffix("").as_posix(), folder / inner, json, split))
                place.append((number, entry_number))
        records = found_images(unique_keys(records), folders)
        return Dataset(
            records,
            shared_classes([(file.path, file.categories, file.info) for file in files], nothing=True),
            CocoReader(tuple(files), {record.key: where for record, where in zip(records, place, strict=True)}),
            name=path.name,
            root=path,
            format="coco_instances",
        )

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The images that the files do not list."""
        return beside(records, (record.image for record in records), IMAGE_SUFFIXES)

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `images/SPLIT/KEY` and `annotations/instances_SPLIT.json`, masks as run lengths, which lose no hole and no
        part.

        What COCO has no field for (colours, which are things, void's name, groups) stands under `info`, where other tools skip it.
        """
        check(CocoInstances, dataset, "coco_instances")
        with whole_folder(path) as folder:
            splits = dataset.splits or ("",)
            for split in splits:
                images: list[ImageEntry] = []
                objects: list[dict[str, Any]] = []
                for record, sample in zip(dataset.records, dataset, strict=True):
                    if record.split != split:
                        continue
                    place = folder / "images" / split
                    name = put_image(place / inner_key(record), record, sample.image).relative_to(place).as_posix()
                    images.append(ImageEntry(len(images) + 1, name, *sample.image.shape[1::-1]))
                    assert sample.segments is not None  # held, says the check
                    objects += object_entries(sample.segments, len(images), len(objects))
                name = f"annotations/instances_{split}.json" if split else "instances.json"
                write_bytes(folder / name, file_content(dataset.classes, images, objects))


@dataclass(frozen=True)
class CocoReader:
    """Reads the image file of a record, and its objects from the JSON files."""

    files: tuple[CocoFile, ...]
    place: Mapping[str, tuple[int, int]]
    """Of each key the file, and the number of the image in it."""

    def image(self, record: Record) -> NDArray[Any]:
        """(H, W, C) of the image file."""
        assert record.image is not None
        return read_image(record.image)

    def segments(self, record: Record) -> Segments:
        """The objects of the image, at the size that the file tells, else at the image's own."""
        number, image = self.place[record.key]
        entry = self.files[number].images[image]
        size = (entry.height, entry.width) if entry.height and entry.width else self.image(record).shape[:2]
        return self.files[number].segments(image, size)

    def grid(self, record: Record) -> dict[str, Any]:
        """Nothing: photographs have no scale."""
        return {}

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of the image file, and what the JSON says of its objects."""
        number, image = self.place[record.key]
        yield from ends(record.image)
        yield from self.files[number].content(image)


def _files(path: Path) -> list[tuple[str, Path]]:
    """(split, JSON file) of each that is there: train, val, test, then others."""
    for pattern in PLACES:
        found = [
            (split_of(file.parent.name if file.name.startswith("_") else file.stem.removeprefix("instances_")), file)
            for file in path.glob(pattern)
        ]
        if found:
            return ordered_splits(found)
    return [("", file) for file in [path / name for name in SINGLE] if file.is_file()][:1]


def _image_folder(path: Path, json: Path) -> Path:
    """Where the images of a file are: in the folder of their split, in `images/`, or beside it."""
    split = json.stem.removeprefix("instances_")
    places = [] if split == json.stem else [path / "images" / split, path / split]
    return next((place for place in [*places, path / "images"] if place.is_dir()), json.parent)


def object_entries(segments: Segments, image: int, before: int = 0, *, scored: bool = False) -> list[dict[str, Any]]:
    """The annotations of the image of number `image`, one per row, themselves numbered on from those `before`, their masks as run
    lengths. Those of a truth tell scores other than 1; `scored` tells all, as results do.

    >>> import numpy as np
    >>> from intarsia.core.segments import Segments
    >>> [one] = object_entries(Segments(np.int8([[[0, 1]]]), [4], scores=[0.9]), image=7)
    >>> one["image_id"], one["category_id"], one["segmentation"], one["bbox"], one["area"], one["score"]
    (7, 5, {'size': [1, 2], 'counts': '11'}, [1.0, 0.0, 1.0, 1.0], 1.0, 0.9)
    """
    entries = []
    shapes = zip(segments.boxes.tolist(), segments.areas.tolist(), object_rles(segments), strict=True)
    for row, ((left, top, right, bottom), area, rle) in enumerate(shapes):
        entry = {
            "id": before + row + 1,
            "image_id": image,
            "category_id": int(segments.classes[row]) + 1,
            "segmentation": rle,
            "bbox": [left, top, right - left, bottom - top],
            "area": area,
            "iscrowd": int(segments.crowd[row]),
        }
        score = segments.scores[row]
        entries.append(entry | ({"score": float(str(score))} if scored or score != 1 else {}))  # the shortest text of a float32
    return entries
