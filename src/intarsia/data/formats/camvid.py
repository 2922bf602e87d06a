"""CamVid: road scenes in the 11-class layout of SegNet and in the 32-class layout of the original release and fastai."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from intarsia.core.errors import CannotHold, DatasetNotFound
from intarsia.data.class_files import read_classes, read_colours
from intarsia.data.coding import VOID_NAMES, Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, inner_key, listed, pair, unique_keys, whole_folder
from intarsia.data.holds import Holds
from intarsia.data.images import write_bytes, write_image, write_labels
from intarsia.data.label_files import ColourLabels, IdLabels
from intarsia.data.records import FileReader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CamVid"]

THINGS = {
    "Animal", "Bicyclist", "Car", "CartLuggagePram", "Child", "MotorcycleScooter", "OtherMoving", "Pedestrian", "SignSymbol",
    "SUVPickupTruck", "TrafficCone", "TrafficLight", "Train", "Truck_Bus",
}  # fmt: skip
LISTS = {"val": "valid.txt", "test": "test.txt"}


class CamVid:
    """`segnet`: `train/` + `trainannot/`, the same for `val` and `test`, and `codes.txt`. `fastai`: `images/NAME.png`,
    `labels/NAME_P.png` (ids) or `labels/NAME_L.png` (colours, by `label_colors.txt`), `codes.txt`, and `valid.txt` naming the
    images of the split `val`; the rest is `train`. Void is void, the countable classes are things.

    Brostow, Fauqueur, Cipolla, "Semantic object classes in video", PRL 2009; the 11 classes are those of SegNet (PAMI 2017).
    """

    holds: ClassVar[Holds] = Holds(nothing=False, splits=("train", "val", "test"))
    looks: ClassVar[str] = "train/ + trainannot/ + codes.txt, or images/ + labels/NAME_P.png + codes.txt"

    @staticmethod
    def detect(path: Path) -> str:
        """`trainannot/`, or `images/`, `labels/` with `_P` or `_L` files."""
        if (path / "train").is_dir() and (path / "trainannot").is_dir():
            return "train/ and trainannot/"
        if (path / "images").is_dir() and (path / "labels").is_dir() and _suffix(path / "labels"):
            return f"images/ and labels/*{_suffix(path / 'labels')}.png"
        return ""

    @staticmethod
    def open(path: Path, *, cache_bytes: int = 256 << 20) -> Dataset:
        """The data set in either layout; the label cache takes up to `cache_bytes`."""
        layout = CamVid.detect(path)
        if not layout:
            raise DatasetNotFound(
                str(path), expected="train/ and trainannot/, or images/ and labels/NAME_P.png", received="neither"
            )
        labels = path / "labels"
        colours = not layout.startswith("train") and _suffix(labels) == "_L"
        file = path / ("label_colors.txt" if colours and not (path / "codes.txt").is_file() else "codes.txt")
        coding = read_classes(file)
        things = tuple(name for name in coding.classes.names if name in THINGS)
        coding = replace(coding, classes=replace(coding.classes, things=things))
        if layout.startswith("train"):
            splits = [split for split in ("train", "val", "test") if (path / split).is_dir()]
            records = [record for split in splits for record in pair(path / split, path / f"{split}annot", split=split)]
        else:
            records = pair(path / "images", labels, f"{{stem}}{_suffix(labels)}.png")
            held = {
                key: split
                for split, name in LISTS.items()
                if (path / name).is_file()
                for key in listed(path / name, [record.key for record in records])
            }
            records = [replace(record, split=held.get(record.key, "train")) for record in records]
        reader = ColourLabels(coding, read_colours(path)) if colours else IdLabels(coding)
        return Dataset(
            found_images(path, unique_keys(records), "train/ or images/"),
            coding.classes,
            FileReader(reader),
            name=path.name,
            root=path,
            format="camvid",
            cache_bytes=cache_bytes,
        )

    @staticmethod
    def write(dataset: Dataset, path: Path, *, layout: Literal["segnet", "fastai"] = "segnet") -> None:
        """Write either layout as PNG, ids in the order of the classes, Void after them."""
        CamVid.holds.check(dataset, "camvid")
        classes = dataset.classes
        void = classes.void[0] if classes.void and classes.void[0].lower() in VOID_NAMES else "Void"
        misread = [name for name in classes.names if name.lower() in VOID_NAMES]
        if misread or classes.nothing or len(classes.groups) > 1:
            raise CannotHold("camvid", expected="one group of classes, none called void", received=misread or classes)
        coding = Coding(classes, tuple(range(len(classes))), (len(classes),))
        folders = {"segnet": ("{split}/{key}.png", "{split}annot/{key}.png"), "fastai": ("images/{key}.png", "labels/{key}_P.png")}
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                image, label = (name.format(split=record.split, key=inner_key(record)) for name in folders[layout])
                write_image(folder / image, sample.image)
                assert sample.segments is not None  # held, says the check
                write_labels(folder / label, coding.labels(sample.segments))
            write_bytes(folder / "codes.txt", "".join(f"{name}\n" for name in (*classes.names, void)).encode())
            rows = zip((*classes.names, void), (*classes.colours, (0, 0, 0)), strict=True)
            if layout == "segnet":
                write_bytes(folder / "colors.txt", "".join(f"{name} {r} {g} {b}\n" for name, (r, g, b) in rows).encode())
            else:
                write_bytes(folder / "label_colors.txt", "".join(f"{r} {g} {b}\t{name}\n" for name, (r, g, b) in rows).encode())
                for split, file in LISTS.items():
                    keys = [inner_key(record) for record in dataset.records if record.split == split]
                    if keys:
                        write_bytes(folder / file, "".join(f"{key}.png\n" for key in keys).encode())


def _suffix(labels: Path) -> str:
    """What the label files add to the stem: _P, else _L, else nothing."""
    return next((suffix for suffix in ("_P", "_L") if any(labels.glob(f"*{suffix}.png"))), "")
