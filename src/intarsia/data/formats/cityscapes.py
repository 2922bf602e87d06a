"""cityscapes: street scenes in folders of cities, ids of 34 labels of which 19 are trained, objects numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError, OptionError, nearest
from intarsia.core.segments import Segments, narrow
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import files_under, found_images, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import read_labels, write_labels
from intarsia.data.records import PNG, FileReader, Record, put_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Cityscapes"]

Labels = Literal["train", "all"]
IMAGES, TRUTH = "leftImg8bit", "gtFine"
SPLITS = ("train", "val", "test")
OBJECTS = 1000
"""A pixel of object n of label l is l * 1000 + n in the instance map; below, it is a label alone."""
TABLE: dict[str, tuple[int, tuple[int, int, int]]] = {
    "ground": (6, (81, 0, 81)), "road": (7, (128, 64, 128)), "sidewalk": (8, (244, 35, 232)), "parking": (9, (250, 170, 160)),
    "rail track": (10, (230, 150, 140)), "building": (11, (70, 70, 70)), "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)), "guard rail": (14, (180, 165, 180)), "bridge": (15, (150, 100, 100)),
    "tunnel": (16, (150, 120, 90)), "pole": (17, (153, 153, 153)), "polegroup": (18, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)), "traffic sign": (20, (220, 220, 0)), "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)), "sky": (23, (70, 130, 180)), "person": (24, (220, 20, 60)), "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)), "truck": (27, (0, 0, 70)), "bus": (28, (0, 60, 100)), "caravan": (29, (0, 0, 90)),
    "trailer": (30, (0, 0, 110)), "train": (31, (0, 80, 100)), "motorcycle": (32, (0, 0, 230)), "bicycle": (33, (119, 11, 32)),
}  # fmt: skip
"""Name: id and colour of the labels that are no void (those of ids 0 to 5 are), from cityscapesscripts/helpers/labels.py."""
UNTRAINED = ("ground", "parking", "rail track", "guard rail", "bridge", "tunnel", "polegroup", "caravan", "trailer")
"""Ignored by the benchmark."""
THINGS = ("person", "rider", "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle")
VOID = ("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic")


def _coding(names: list[str]) -> Coding:
    """The ids of some of the labels; all others are void."""
    ids = [TABLE[name][0] for name in names]
    things = tuple(name for name in names if name in THINGS)
    classes = ClassSet(tuple(names), tuple(TABLE[name][1] for name in names), things=things, void=VOID)
    return Coding(classes, tuple(ids), tuple(number for number in range(34) if number not in ids))


CODINGS = {"train": _coding([name for name in TABLE if name not in UNTRAINED]), "all": _coding(list(TABLE))}
TRAINED = Coding(CODINGS["train"].classes, tuple(range(len(CODINGS["train"].classes))), (255,))
"""The ids of labelTrainIds."""


class Cityscapes:
    """`leftImg8bit/SPLIT/CITY/KEY_leftImg8bit.png` and `gtFine/SPLIT/CITY/KEY_gtFine_labelIds.png`, beside it
    `KEY_gtFine_instanceIds.png`, by which the countable classes are told apart; a group of them that the annotators did not part is
    a crowd. Only pixels of the 19 classes of the benchmark are known, the others void, unless `labels` is "all". An image without
    labelIds is read by its `labelTrainIds`, 0 to 18 and 255 for void.

    Cordts et al., "The Cityscapes Dataset", CVPR 2016.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(instances=True, ordered=False, crowd=True, nothing=False, splits=SPLITS)
    looks: ClassVar[str] = "leftImg8bit/train/CITY/ + gtFine/train/CITY/"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """The two folders."""
        return f"{IMAGES}/ and {TRUTH}/" if (path / IMAGES).is_dir() and (path / TRUTH).is_dir() else ""

    @staticmethod
    def open(path: Path, *, labels: Labels = "train", objects: bool = True) -> Dataset:
        """The data set in a folder: the 19 classes of the benchmark, or "all" 28 that are no void; without `objects` a segment for
        each class. Raises OptionError for other `labels`, LabelError for "all" of labelTrainIds, which tell 19.
        """
        if labels not in get_args(Labels):
            raise OptionError("labels", expected="train or all", received=repr(labels), hint=nearest(labels, get_args(Labels)))
        if not Cityscapes.detect(path):
            raise DatasetNotFound(str(path), expected=Cityscapes.looks, received="neither")
        records = []
        for split in SPLITS:
            folder = path / TRUTH / split
            for key, image in files_under(path / IMAGES / split).items() if (path / IMAGES / split).is_dir() else ():
                plain = key.removesuffix(f"_{IMAGES}")
                places = (folder / f"{plain}_{TRUTH}_{kind}.png" for kind in ("labelIds", "labelTrainIds"))
                label = next((place for place in places if place.is_file()), None)
                if label is not None and labels == "all" and label.stem.endswith("labelTrainIds"):
                    raise LabelError(str(label), expected="labelIds for labels='all'", received="labelTrainIds alone")
                records.append(Record(plain, image, label, split))
        reader = FileReader(CityLabels(CODINGS[labels], objects))
        records = found_images(unique_keys(records), [path / IMAGES])
        return Dataset(records, CODINGS[labels].classes, reader, name=path.name, root=path, format="cityscapes")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The labelIds without image."""
        used = {record.label for record in records}
        return sorted(file for file in (path / TRUTH).glob("*/**/*_labelIds.png") if file not in used)

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """The 19 of the benchmark, or all 28 where one of the others is among them. CannotHold for other names."""
        known = CODINGS["all" if set(classes.names) & set(UNTRAINED) else "train"].classes
        strange = [name for name in classes.names if name not in known.names]
        if strange:
            expected = f"its own classes: {', '.join(known.names)}"
            raise CannotHold(
                "cityscapes", expected=expected, received=strange, hint="Nothing was written; coco_panoptic holds them."
            )
        return known

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write the same folders with labelIds and instanceIds."""
        check(Cityscapes, dataset, "cityscapes")
        coding = next(coding for coding in CODINGS.values() if coding.classes == dataset.classes)
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                segments, key = sample.segments, inner_key(record)
                assert segments is not None  # held, says the check
                numbers = _numbers(segments, coding, record.key)
                put_image(folder / IMAGES / record.split / f"{key}_{IMAGES}", record, sample.image, PNG)
                truth = folder / TRUTH / record.split
                write_labels(truth / f"{key}_{TRUTH}_labelIds.png", coding.labels(segments))
                write_labels(truth / f"{key}_{TRUTH}_instanceIds.png", numbers[segments.ids[0]])


@dataclass(frozen=True)
class CityLabels:
    """Segments of a label map, and of the instance map beside it."""

    coding: Coding
    objects: bool

    def __call__(self, path: Path) -> Segments:
        """A row for each label without number, crowds of things among them, then for each object, by number."""
        kind = path.stem.rpartition("_")[2]
        numbers = path.with_name(path.name.replace(f"_{kind}", "_instanceIds"))
        if not self.objects or not numbers.is_file():
            coding = TRAINED if kind == "labelTrainIds" else self.coding
            return coding.segments(read_labels(path), str(path))
        found = read_labels(numbers).astype(np.int64)  # (H, W)
        values, place = np.unique(found, return_inverse=True)
        labels = np.where(values < OBJECTS, values, values // OBJECTS)
        classes = self.coding.table[labels]
        known = classes >= 0
        row = np.where(known, np.cumsum(known), -1)
        ids = row[place.reshape(found.shape)].astype(narrow(-1, int(known.sum())))
        crowd = (values < OBJECTS) & self.coding.classes.is_thing[np.maximum(classes, 0)]
        return Segments(ids[None], classes[known], crowd=crowd[known])  # (H, W) -> (1, H, W)


def _numbers(segments: Segments, coding: Coding, key: str) -> NDArray[np.uint16]:
    """(N + 2,) what stands in the instance map for nothing, each row, and void. Raises CannotHold for what it cannot tell."""
    classes, labels = segments.classes, np.array(coding.ids)[segments.classes]
    thing = coding.classes.is_thing[classes]
    single = segments.crowd | ~thing  # told by the label alone
    number = np.array([np.count_nonzero(~single[:row] & (classes[:row] == index)) for row, index in enumerate(classes)], np.int64)
    wrong = (segments.crowd & ~thing) | (number >= OBJECTS)
    wrong |= single & (np.bincount(classes[single], minlength=len(coding.classes))[classes] > 1)
    if wrong.any():
        raise CannotHold(
            f"cityscapes cannot hold {key!r}",
            expected=f"of a thing at most {OBJECTS} objects and one crowd, of another class one segment and no crowd",
            received=f"more of {coding.classes.names[classes[wrong][0]]}",
            hint="Nothing was written; coco_panoptic holds it.",
        )
    return np.concatenate([[0], np.where(single, labels, labels * OBJECTS + number), [0]]).astype(np.uint16)
