"""tiff_stack: many-paged TIFFs, a page for each plane of a volume, as microscopes and ImageJ write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError, MissingExtra, PairingError, UnreadableFile
from intarsia.core.files import whole_file
from intarsia.data.class_files import find_class_file, read_classes, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import SPLITS, Dataset
from intarsia.data.folders import found_images, whole_folder
from intarsia.data.holds import Holds, check
from intarsia.data.images import write_bytes
from intarsia.data.records import Record, ends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["TiffStack"]

IMAGE = re.compile(r"(?P<key>.+?)[_-](volume|image|images|img|raw)$")
LABEL = re.compile(r"(?P<key>.+?)[_-](labels|label|mask|masks|seg)$")
SUFFIXES = (".tif", ".tiff")


class TiffStack:
    """`KEY-volume.tif` beside `KEY-labels.tif`, pages of equal number and size, such as `train-volume.tif` of the ISBI 2012
    challenge; a key that is named like a split is one. Labels hold ids, by a class file or as they are.

    Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics", 2015.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        volumes=True,
        images=False,
        folders=False,
        unlabelled=True,
        channels=(1,),
        dtypes=("uint8", "uint16", "int16", "float32"),
        splits=("",),
    )
    looks: ClassVar[str] = "KEY-volume.tif + KEY-labels.tif of many pages"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A pair of files by their names."""
        return next((f"{image.name} and {label.name}" for _, image, label in _stacks(path) if label is not None), "")

    @staticmethod
    def open(path: Path, *, slices: bool = False) -> Dataset:
        """The data set in a folder, of volumes (D, H, W, C), or with `slices` of their pages as images."""
        stacks = _stacks(path)
        if not stacks:
            raise DatasetNotFound(str(path), expected=TiffStack.looks, received="neither")
        records = []
        for key, image, label in stacks:
            pages = range(_pages(image))
            if label is not None and _pages(label) != len(pages):
                raise PairingError(str(label), expected=f"the {len(pages)} pages of {image.name}", received=_pages(label))
            keys = [f"{key}/{page:04d}" for page in pages] if slices else [key]
            records += [Record(name, image, label, SPLITS.get(key.lower(), "")) for name in keys]
        coding = _coding(path, [label for _, _, label in stacks if label is not None])
        reader = StackReader(coding, slices)
        return Dataset(found_images(records, [path]), coding.classes, reader, name=path.name, root=path, format="tiff_stack")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The labels without volume."""
        used = {record.label for record in records}
        files = (file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES and file not in used)
        return [file for file in files if LABEL.fullmatch(file.stem)]

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `KEY-volume.tif` and `KEY-labels.tif` for each volume of one channel, and `classes.json`."""
        tifffile = _tifffile()
        check(TiffStack, dataset, "tiff_stack")
        misread = [key for key in dataset.keys if key.lower() in SPLITS]
        if misread:
            raise CannotHold("tiff_stack", expected="keys that name no split", received=misread, hint="Nothing was written.")
        coding = Coding.from_classes(dataset.classes)
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                arrays = {"volume": sample.image[..., 0]}
                if sample.segments is not None:
                    arrays["labels"] = coding.labels(sample.segments)
                for kind, array in arrays.items():
                    with whole_file(folder / f"{record.key}-{kind}.tif") as draft:
                        tifffile.imwrite(draft, array, photometric="minisblack", compression="zlib")
            write_bytes(folder / "classes.json", write_classes(coding))


@dataclass(frozen=True)
class StackReader:
    """Reads a page of each file, or the whole of it."""

    coding: Coding
    slices: bool

    def image(self, record: Record) -> NDArray[Any]:
        """(H, W, C) of a page, or (D, H, W, C), in the file's own dtype."""
        assert record.image is not None
        array = self._read(record.image, record)
        flat = 2 if self.slices else 3
        return array[..., None] if array.ndim == flat else array

    def segments(self, record: Record) -> Segments | None:
        """A row for each class."""
        if record.label is None:
            return None
        labels = self._read(record.label, record)
        if labels.dtype.kind not in "ui":
            raise LabelError(str(record.label), expected="whole numbers", received=labels.dtype)
        return self.coding.segments(labels, str(record.label))

    def grid(self, record: Record) -> dict[str, Any]:
        """Nothing: how far pages are apart, TIFF has no field for."""
        return {}

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of both files."""
        return ends(record.image, record.label)

    def _read(self, path: Path, record: Record) -> NDArray[Any]:
        key = int(record.key.rpartition("/")[2]) if self.slices else None
        try:
            array: NDArray[Any] = _tifffile().imread(path, key=key)
        except (OSError, ValueError, IndexError) as error:
            raise UnreadableFile(str(path), expected="a whole TIFF of many pages", received=str(error)) from error
        return array


def _stacks(path: Path) -> list[tuple[str, Path, Path | None]]:
    """(key, image, label or None) of each."""
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES]
    labels = {found["key"]: file for file in files if (found := LABEL.fullmatch(file.stem))}
    return [(found["key"], file, labels.get(found["key"])) for file in files if (found := IMAGE.fullmatch(file.stem))]


def _pages(path: Path) -> int:
    try:
        with _tifffile().TiffFile(path) as file:
            return len(file.pages)
    except (OSError, ValueError) as error:
        raise UnreadableFile(str(path), expected="a whole TIFF of many pages", received=str(error)) from error


def _coding(path: Path, labels: list[Path]) -> Coding:
    """What the ids mean: by a class file, else the ids of the label files are the names."""
    file = find_class_file(path)
    if file is not None or not labels:
        return read_classes(file).with_void(None) if file else Coding.from_classes(ClassSet(("label 0",)))
    ids = sorted({value for label in labels for value in np.unique(_tifffile().imread(label)).tolist()})
    return Coding(ClassSet(tuple(f"label {value}" for value in ids)), tuple(ids))


def _tifffile() -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtra("reading TIFF stacks", extra="volume") from error
    return tifffile
