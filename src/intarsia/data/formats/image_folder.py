"""image_folder: images and masks named row by row in metadata.csv or .jsonl, as Hugging Face's ImageFolder has it."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, ClassVar

from intarsia.core.errors import DatasetNotFound, LabelError
from intarsia.data.class_files import coding_near, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, split_folders, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import IMAGE_SUFFIXES, write_bytes, write_labels
from intarsia.data.label_files import IdLabels
from intarsia.data.records import FileReader, Record, beside, put_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intarsia.core.classes import ClassSet

__all__ = ["ImageFolder"]

FILES = ("metadata.csv", "metadata.jsonl")
IMAGE_COLUMNS = ("file_name", "image_file_name", "image", "pixel_values_file_name")
LABELS = ("mask", "label", "annotation", "segmentation_mask")
LABEL_COLUMNS = (*(f"{name}_file_name" for name in LABELS), *LABELS)


class ImageFolder:
    """`metadata.csv` or `metadata.jsonl` in the folder or in each of `train/`, `validation/`, `test/`: a row for each image, with
    its `file_name` and the `mask_file_name` (or label, annotation) of its ids, relative to the file; classes by a class file.

    huggingface.co/docs/datasets/image_dataset.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(unlabelled=True, splits=("", "train", "val", "test"))
    looks: ClassVar[str] = "metadata.csv (or .jsonl) with file_name and mask_file_name"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A metadata file that names images."""
        for file, _split in _files(path):
            try:
                rows = _rows(file)
            except LabelError:  # a table of something else
                continue
            if rows and _column(rows[0], IMAGE_COLUMNS) and _column(rows[0], LABEL_COLUMNS):
                return f"{file.relative_to(path)} with {_column(rows[0], LABEL_COLUMNS)}"
        return ""

    @staticmethod
    def open(path: Path, *, classes: str | Path | None = None) -> Dataset:
        """The data set in a folder; `classes` is a class file, else the one in the folder."""
        if not ImageFolder.detect(path):
            raise DatasetNotFound(str(path), expected=ImageFolder.looks, received="neither")
        records = []
        for file, split in _files(path):
            for number, row in enumerate(_rows(file), start=1):
                image, label = _column(row, IMAGE_COLUMNS), _column(row, LABEL_COLUMNS)
                if image is None:
                    raise LabelError(
                        f"{file}, row {number}", expected=f"one of {', '.join(IMAGE_COLUMNS)}", received=", ".join(row)
                    )
                place = file.parent / row[image]
                inner = place.relative_to(file.parent) if file.parent in place.parents else place.relative_to(place.anchor)
                key = "/".join(part for part in inner.with_suffix("").parts if part != "..").removeprefix("images/")
                records.append(Record(key, place, file.parent / row[label] if label and row[label] else None, split))
        coding = coding_near(path, None if classes is None else path / classes, above=0)
        reader = FileReader(IdLabels(coding))
        records = found_images(unique_keys(records), [path])
        return Dataset(records, coding.classes, reader, name=path.name, root=path, format="image_folder")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The images that no row names."""
        return beside(records, (record.image for record in records), IMAGE_SUFFIXES)

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `SPLIT/images/KEY`, `SPLIT/masks/KEY.png`, `SPLIT/metadata.csv` and `classes.json`."""
        check(ImageFolder, dataset, "image_folder")
        coding = Coding.from_classes(dataset.classes)
        with whole_folder(path) as folder:
            for split in dataset.splits or ("",):
                rows = [("file_name", "mask_file_name")]
                for record, sample in zip(dataset.records, dataset, strict=True):
                    if record.split != split:
                        continue
                    name = f"{inner_key(record)}.png"
                    image = put_image(folder / split / "images" / inner_key(record), record, sample.image)
                    if sample.segments is not None:
                        write_labels(folder / split / "masks" / name, coding.labels(sample.segments))
                    rows.append((image.relative_to(folder / split).as_posix(), "" if sample.segments is None else f"masks/{name}"))
                text = io.StringIO()
                csv.writer(text, lineterminator="\n").writerows(rows)
                write_bytes(folder / split / "metadata.csv", text.getvalue().encode())
            write_bytes(folder / "classes.json", write_classes(coding))


def _files(path: Path) -> list[tuple[Path, str]]:
    """(metadata file, split) of each that is there."""
    return [(place / name, split) for place, split in split_folders(path) for name in FILES if (place / name).is_file()]


def _rows(file: Path) -> list[dict[str, str]]:
    """The rows by column. LabelError for what is no table."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".csv":
            return list(csv.DictReader(io.StringIO(text)))
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("rows without names of columns")
        return rows
    except (OSError, ValueError, csv.Error) as error:
        raise LabelError(
            str(file), expected="a table with names of columns, or a JSON object on each line", received=str(error)
        ) from error


def _column(row: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if isinstance(row.get(name), str)), None)
