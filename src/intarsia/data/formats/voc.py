"""voc: PASCAL VOC, images in JPEGImages, ids of classes and of objects in palette PNGs, splits in lists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet, default_colours
from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError
from intarsia.core.segments import Segments, narrow
from intarsia.data.class_files import find_class_file, read_classes, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import SPLITS, Dataset
from intarsia.data.folders import files_under, found_images, pair, splits_listed, whole_folder
from intarsia.data.holds import BACKGROUNDS, Holds, check, is_semantic
from intarsia.data.images import read_labels, write_bytes, write_labels
from intarsia.data.records import FileReader, put_image, told_left_over

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from intarsia.data.records import Record

__all__ = ["VOC"]

NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""Those of the challenge, by id."""
VOID = 255
LISTS = "ImageSets/Segmentation"


class VOC:
    """`JPEGImages/KEY.jpg`, `SegmentationClass/KEY.png` with class ids, `SegmentationObject/KEY.png` with object numbers where
    there are any, and the splits as `ImageSets/Segmentation/train.txt` and `val.txt`; 255 is void. The classes are the 21 of the
    challenge unless a class file (see docs/data.md) lies in the folder; all but the background are things.

    An image with object numbers has a segment for each object, one without a segment for each class. Images without a class file in
    SegmentationClass, of which the challenge has many, are left out. Everingham et al., IJCV 2010.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        instances=True, ordered=False, nothing=False, fills=True, splits=("", "train", "val", "test"), folders=False, apart=False
    )
    looks: ClassVar[str] = "JPEGImages/ + SegmentationClass/"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """The two folders."""
        return (
            "JPEGImages/ and SegmentationClass/"
            if all((path / name).is_dir() for name in ("JPEGImages", "SegmentationClass"))
            else ""
        )

    @staticmethod
    def open(path: Path, *, objects: bool = True) -> Dataset:
        """The data set in a folder: the images that lists name, else those with labels; without `objects` the object numbers are
        not read.
        """
        if not VOC.detect(path):
            raise DatasetNotFound(str(path), expected=VOC.looks, received="neither")
        file = find_class_file(path)
        coding = read_classes(file).with_void(VOID) if file else Coding(_classes(NAMES), tuple(range(len(NAMES))), (VOID,))
        if file and file.suffix != ".json":
            coding = replace(coding, classes=_classes(coding.classes.names))
        labels = files_under(path / "SegmentationClass", (".png",))
        images = pair(path / "JPEGImages", None)
        lists = [(SPLITS[file.stem], file) for file in sorted((path / LISTS).glob("*.txt")) if file.stem in SPLITS]
        split_of = splits_listed(lists, [one.key for one in images]) or dict.fromkeys(labels, "")
        records = [replace(one, label=labels.get(one.key), split=split_of[one.key]) for one in images if one.key in split_of]
        numbers = path / "SegmentationObject"
        known = files_under(numbers, (".png",)) if objects and numbers.is_dir() else {}
        reader = FileReader(VocLabels(coding, {labels[key]: file for key, file in known.items() if key in labels}))
        records = found_images(records, [path / "JPEGImages"])
        dataset = Dataset(records, coding.classes, reader, name=path.name, root=path, format="voc")
        dataset.notes = told_left_over(VOC.left_over(path, records))
        return dataset

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The masks without image; images without a mask are no fault."""
        images = files_under(path / "JPEGImages")
        return [file for key, file in files_under(path / "SegmentationClass", (".png",)).items() if key not in images]

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them, up to 255; CannotHold for more."""
        if len(classes) > VOID:
            raise CannotHold("voc", expected=f"at most {VOID} classes", received=len(classes), hint="Nothing was written.")
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write the same folders and a `classes.json`, whose ids are those of the
        challenge where the names are. Object numbers are those of the things, in order, where an image has two of a class.
        """
        check(VOC, dataset, "voc")
        classes = dataset.classes
        known = set(classes.names) <= set(NAMES)
        coding = Coding(classes, tuple(NAMES.index(name) if known else index for index, name in enumerate(classes.names)), (VOID,))
        palette = ((0, 0, 0), *default_colours(255))
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                segments = sample.segments
                assert segments is not None  # held, says the check
                thing = classes.is_thing[segments.classes]
                if np.bincount(segments.classes[~thing], minlength=1).max() > 1:
                    raise CannotHold(
                        f"voc cannot hold {record.key!r}",
                        expected="one segment of each class that is no thing",
                        received="several",
                        hint="Nothing was written.",
                    )
                put_image(folder / "JPEGImages" / record.key, record, sample.image)
                write_labels(folder / "SegmentationClass" / f"{record.key}.png", coding.labels(segments), palette)
                if not is_semantic(segments):
                    number = np.concatenate([[0], np.cumsum(thing) * thing, [0]])  # by row; void is told by the classes
                    write_labels(folder / "SegmentationObject" / f"{record.key}.png", number[segments.ids[0]], palette)
            for split in dataset.splits:
                keys = [record.key for record in dataset.records if record.split == split]
                write_bytes(folder / LISTS / f"{split}.txt", "".join(f"{key}\n" for key in keys).encode())
            write_bytes(folder / "classes.json", write_classes(coding))


@dataclass(frozen=True)
class VocLabels:
    """Segments of the class map, and of the object map that `numbers` has for it, if any."""

    coding: Coding
    numbers: Mapping[Path, Path]

    def __call__(self, path: Path) -> Segments:
        """A row for each class of what is no object, then for each object, by number. LabelError for an object of no thing."""
        semantic = self.coding.segments(read_labels(path), str(path))
        file = self.numbers.get(path)
        if file is None:
            return semantic
        classes = semantic.semantic(len(self.coding.classes))  # (H, W)
        objects = read_labels(file).astype(np.int64)
        if objects.shape != classes.shape:
            raise LabelError(str(file), expected=f"the size of {path}, {classes.shape}", received=objects.shape)
        objects[(classes < 0) | (objects == VOID)] = 0
        things = np.flatnonzero(self.coding.classes.is_thing)
        numbers, place = np.unique(objects, return_inverse=True)  # 0 first, if it is there
        place = place.reshape(objects.shape) + (numbers[0] != 0)
        numbers = numbers[numbers > 0]
        count = len(self.coding.classes)
        known = classes >= 0
        votes = np.bincount(place[known] * count + classes[known], minlength=(len(numbers) + 1) * count).reshape(-1, count)
        stuff, of_object = np.flatnonzero(votes[0]), votes[1:].argmax(axis=1)
        wrong = numbers[~np.isin(of_object, things)]
        if len(wrong):
            on = self.coding.classes.names[of_object[np.searchsorted(numbers, wrong[0])]]
            raise LabelError(str(file), expected="objects on pixels of things", received=f"object {wrong[0]} on {on}")
        row_of = np.zeros(count, np.int64)
        row_of[stuff] = np.arange(1, len(stuff) + 1)
        ids = np.where(objects > 0, place + len(stuff), row_of[np.maximum(classes, 0)])
        ids[classes < 0] = -1
        rows = np.concatenate([stuff, of_object])
        return Segments(ids.astype(narrow(-1, len(rows)))[None], rows)  # (H, W) -> (1, H, W)


def _classes(names: tuple[str, ...]) -> ClassSet:
    """All but the background are things; colours are the challenge's, where black is the background's."""
    colours = ((0, 0, 0), *default_colours(len(names) - 1)) if names[0] == NAMES[0] else ()
    return ClassSet(names, colours, things=tuple(name for name in names if name not in BACKGROUNDS))
