"""CamVid: road scenes in the 11-class layout of SegNet and in the 32-class layout of the original release and fastai."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound
from intarsia.data.class_files import read_classes, read_colours
from intarsia.data.coding import VOID_NAMES, Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, pair, splits_listed, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import write_bytes, write_labels
from intarsia.data.label_files import ColourLabels, IdLabels
from intarsia.data.records import PNG, FileReader, beside, put_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intarsia.data.records import Record

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

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(nothing=False, splits=("train", "val", "test"))
    looks: ClassVar[str] = "train/ + trainannot/ + codes.txt, or images/ + labels/NAME_P.png + codes.txt"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """`trainannot/`, or `images/` and `labels/` whose files add `_P` or `_L` to the stems."""
        if (path / "train").is_dir() and (path / "trainannot").is_dir():
            return "train/ and trainannot/"
        suffix = _suffix(path)
        return f"images/ and labels/*{suffix}.png" if suffix else ""

    @staticmethod
    def open(path: Path) -> Dataset:
        """The data set in either layout."""
        layout = CamVid.detect(path)
        if not layout:
            raise DatasetNotFound(str(path), expected=CamVid.looks, received="neither")
        suffix = "" if layout.startswith("train") else _suffix(path)
        colours = suffix == "_L"
        file = path / ("label_colors.txt" if colours and not (path / "codes.txt").is_file() else "codes.txt")
        coding = read_classes(file)
        things = tuple(name for name in coding.classes.names if name in THINGS)
        coding = replace(coding, classes=replace(coding.classes, things=things))
        if not suffix:
            splits = [split for split in ("train", "val", "test") if (path / split).is_dir()]
            looked = [path / split for split in splits]
            records = [
                record for split in splits for record in pair(path / split, path / f"{split}annot", split=split, strict=False)
            ]
        else:
            looked = [path / "images"]
            records = pair(path / "images", path / "labels", f"{{stem}}{suffix}.png", strict=False)
            lists = [(split, path / name) for split, name in LISTS.items() if (path / name).is_file()]
            held = splits_listed(lists, [record.key for record in records])
            records = [replace(record, split=held.get(record.key, "train")) for record in records]
        reader = ColourLabels(coding, read_colours(path)) if colours else IdLabels(coding)
        return Dataset(
            found_images(unique_keys(records), looked),
            coding.classes,
            FileReader(reader),
            name=path.name,
            root=path,
            format="camvid",
        )

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The masks without image."""
        found = beside(records, (record.label for record in records), (".png",))
        return [file for file in found if file.stem.endswith(_suffix(path))]

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """Names, colours and void; the things are those that CamVid has. CannotHold for names that would be read as others."""
        torn = [name for name in (*classes.names, *classes.void) if name.splitlines() != [name] or name.strip().strip(",") != name]
        void = tuple(name for name in classes.void if name.lower() in VOID_NAMES)
        misread = [name for name in classes.names if name.lower() in VOID_NAMES]
        for wrong, expected in (
            (torn, "names of one line, without space or comma at either end"),
            (misread, "no class called void"),
        ):
            if wrong:
                raise CannotHold("camvid", expected=expected, received=wrong, hint="Nothing was written; mask_folder holds it.")
        things = tuple(name for name in classes.names if name in THINGS)
        return ClassSet(classes.names, classes.colours, things=things, void=void or ("Void",))

    @staticmethod
    def write(dataset: Dataset, path: Path, *, layout: Literal["segnet", "fastai"] = "segnet") -> None:
        """Write either layout as PNG, ids in the order of the classes, void after them.

        Both layouts know the classes by name alone: which are things is CamVid's own choice of names.
        """
        check(CamVid, dataset, "camvid")
        classes = dataset.classes
        names, count = (*classes.names, *classes.void), len(classes)
        coding = Coding(classes, tuple(range(count)), tuple(range(count, len(names))))
        folders = {"segnet": ("{split}/{key}", "{split}annot/{key}.png"), "fastai": ("images/{key}", "labels/{key}_P.png")}
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                image, label = (name.format(split=record.split, key=inner_key(record)) for name in folders[layout])
                put_image(folder / image, record, sample.image, PNG)
                assert sample.segments is not None  # held, says the check
                write_labels(folder / label, coding.labels(sample.segments))
            write_bytes(folder / "codes.txt", "".join(f"{name}\n" for name in names).encode())
            rows = zip(names, (*classes.colours, *[(0, 0, 0)] * len(classes.void)), strict=True)
            if layout == "segnet":
                write_bytes(folder / "colors.txt", "".join(f"{name} {r} {g} {b}\n" for name, (r, g, b) in rows).encode())
            else:
                write_bytes(folder / "label_colors.txt", "".join(f"{r} {g} {b}\t{name}\n" for name, (r, g, b) in rows).encode())
                for split, file in LISTS.items():
                    keys = [inner_key(record) for record in dataset.records if record.split == split]
                    if keys:
                        write_bytes(folder / file, "".join(f"{key}.png\n" for key in keys).encode())


def _suffix(path: Path) -> str:
    """What the files of `labels/` add to the stems of `images/`: _P, else _L, else nothing."""
    if not (path / "images").is_dir():
        return ""
    stems = {file.stem for file in (path / "images").iterdir()}
    files = (path / "labels").iterdir() if (path / "labels").is_dir() else ()
    labels = {file.stem for file in files if file.suffix.lower() == ".png"} - stems  # an image may itself be called NAME_P
    return next((suffix for suffix in ("_P", "_L") if any(f"{stem}{suffix}" in labels for stem in stems)), "")
