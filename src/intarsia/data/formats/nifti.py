"""nifti: volumes as .nii or .nii.gz, labels on the same grid, as of the Medical Segmentation Decathlon and nnU-Net."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import DatasetNotFound, LabelError, MissingExtra, PairingError, UnreadableFile
from intarsia.data.class_files import coding_near, find_class_file, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, whole_folder
from intarsia.data.holds import Holds, check
from intarsia.data.images import write_bytes
from intarsia.data.records import Record, ends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["NIfTI"]

SUFFIXES = (".nii.gz", ".nii")
FOLDERS = (("imagesTr", "labelsTr", "train"), ("imagesTs", "labelsTs", "test"), ("images", "labels", ""), ("images", "masks", ""))
PAIRED = re.compile(r"(?P<key>.+?)[_-](?P<kind>image|img|label|mask|seg|segmentation)$")
CHANNEL = re.compile(r"(?P<key>.+)_(?P<channel>\d{4})$")
"""How nnU-Net numbers the channels of a case."""


class NIfTI:
    """`imagesTr/KEY.nii.gz` and `labelsTr/KEY.nii.gz` (and `imagesTs`), or `images/` and `labels/`, or `KEY_image.nii.gz` beside
    `KEY_label.nii.gz`; names are those of `dataset.json` or of a class file (see docs/data.md). nnU-Net's `KEY_0000` and `KEY_0001`
    are channels of one image. A voxel of the file's (i, j, k) is [k, j, i] of ours.

    nifti.nimh.nih.gov/nifti-1; Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 2022.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        volumes=True,
        images=False,
        folders=False,
        unlabelled=True,
        channels=None,
        dtypes=("uint8", "uint16", "int16", "int32", "float32"),
        splits=("", "train", "test"),
    )
    looks: ClassVar[str] = "imagesTr/ + labelsTr/ of .nii.gz, or KEY_image.nii.gz + KEY_label.nii.gz"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A NIfTI file in the folder or in one of images."""
        for folder in (path, *(path / images for images, _, _ in FOLDERS)):
            file = next((file for file in sorted(folder.glob("*.nii*")) if file.name.endswith(SUFFIXES)), None)
            if file is not None:
                return file.relative_to(path).as_posix()
        return ""

    @staticmethod
    def open(path: Path, *, slices: bool = False) -> Dataset:
        """The data set in a folder, of volumes, or with `slices` of their planes along the last axis of the file as images."""
        cases = _cases(path)
        if not cases:
            raise DatasetNotFound(str(path), expected=NIfTI.looks, received="none of them")
        files = {key: images for key, (images, _, _) in cases.items()}
        records = [Record(key, images[0], label, split) for key, (images, label, split) in sorted(cases.items())]
        if slices:
            records = [
                Record(f"{record.key}/{plane:04d}", record.image, record.label, record.split)
                for record in records
                for plane in range(_header(files[record.key][0]).get_data_shape()[2])
            ]
        coding = _coding(path, [label for _, label, _ in cases.values() if label is not None])
        reader = NiftiReader({key: tuple(images) for key, images in files.items()}, coding, slices)
        return Dataset(found_images(records, [path]), coding.classes, reader, name=path.name, root=path, format="nifti")

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `images/KEY.nii.gz` and `labels/KEY.nii.gz`, or `imagesTr` and `imagesTs` where there are splits, on the grid of
        each sample, and `classes.json`.
        """
        nibabel = _nibabel()
        check(NIfTI, dataset, "nifti")
        coding = Coding.from_classes(dataset.classes)
        places = {"": ("images", "labels"), "train": FOLDERS[0][:2], "test": FOLDERS[1][:2]}
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                affine = (sample.geo or {}).get("affine") or np.diag([*reversed(sample.spacing or (1.0, 1.0, 1.0)), 1.0])
                image = sample.image[..., 0] if sample.image.shape[-1] == 1 else sample.image
                arrays = [image] if sample.segments is None else [image, coding.labels(sample.segments)]
                for place, array in zip(places[record.split], arrays, strict=False):
                    order = (2, 1, 0, *range(3, array.ndim))  # (D, H, W, C) -> (i, j, k, C)
                    volume = nibabel.Nifti1Image(array.transpose(order), np.asarray(affine))
                    write_bytes(folder / place / f"{record.key}.nii.gz", gzip.compress(volume.to_bytes(), 6))
            write_bytes(folder / "classes.json", write_classes(coding))


@dataclass(frozen=True)
class NiftiReader:
    """Reads the volumes of a case, or one plane of them."""

    files: dict[str, tuple[Path, ...]]
    """Of each case the file of each channel."""
    coding: Coding
    slices: bool

    def image(self, record: Record) -> NDArray[Any]:
        """(D, H, W, C), or (H, W, C) of a slice, in the file's own dtype."""
        key, plane = self._case(record)
        volumes = [_volume(file) for file in self.files[key]]
        strange = next((volume.shape for volume in volumes if volume.shape != volumes[0].shape), None)
        if strange is not None:
            raise PairingError(key, expected=f"channels of one size, {volumes[0].shape}", received=strange)
        planes = [volume[plane] if volume.ndim == 4 else volume[plane][..., None] for volume in volumes]  # (D, H, W, C) each
        return np.ascontiguousarray(np.concatenate(planes, axis=-1))

    def segments(self, record: Record) -> Segments | None:
        """A row for each class."""
        if record.label is None:
            return None
        key, plane = self._case(record)
        image, label = _header(self.files[key][0]), _header(record.label)
        if image.get_data_shape()[:3] != label.get_data_shape()[:3]:
            raise PairingError(
                str(record.label),
                expected=f"the grid of its image, {image.get_data_shape()[:3]}",
                received=label.get_data_shape()[:3],
                hint="Resample the label to the grid of the image, nearest neighbour.",
            )
        labels = _volume(record.label)[plane]
        if labels.dtype.kind == "f":  # written so by many tools
            whole = labels.astype(np.int32)
            if not np.array_equal(whole, labels):
                raise LabelError(str(record.label), expected="whole numbers", received="fractions", hint="It was interpolated.")
            labels = whole
        return self.coding.segments(labels, str(record.label))

    def grid(self, record: Record) -> dict[str, Any]:
        """Spacing in mm along each axis of ours, and the affine of the file."""
        key, _ = self._case(record)
        header = _header(self.files[key][0])
        spacing = tuple(float(value) for value in reversed(header.get_zooms()[:3]))
        if self.slices:
            return {"spacing": spacing[1:]}
        return {"spacing": spacing, "geo": {"affine": header.get_best_affine().tolist()}}

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of the files."""
        key, _ = self._case(record)
        return ends(*self.files[key], record.label)

    def _case(self, record: Record) -> tuple[str, Any]:
        """The case of a record, and which part of its volumes."""
        if not self.slices:
            return record.key, slice(None)
        key, _, plane = record.key.rpartition("/")
        return key, int(plane)


def _cases(path: Path) -> dict[str, tuple[list[Path], Path | None, str]]:
    """Of each case the files of its channels, its label, its split."""
    cases: dict[str, tuple[list[Path], Path | None, str]] = {}
    for images, labels, split in FOLDERS:
        if not (path / images).is_dir() or (images == "images" and not (path / labels).is_dir() and labels == "masks"):
            continue
        known = {_stem(file): file for file in _files(path / labels)}
        for file in _files(path / images):
            numbered = CHANNEL.fullmatch(_stem(file))
            key = numbered["key"] if numbered and _stem(file) not in known else _stem(file)
            cases.setdefault(key, ([], known.get(key), split))[0].append(file)
    if cases:
        return cases
    kinds: dict[str, dict[str, Path]] = {}
    for file in _files(path):
        if found := PAIRED.fullmatch(_stem(file)):
            kinds.setdefault(found["key"], {})["image" if found["kind"] in ("image", "img") else "label"] = file
    return {key: ([pair["image"]], pair.get("label"), "") for key, pair in kinds.items() if "image" in pair}


def _coding(path: Path, labels: list[Path]) -> Coding:
    """What the ids mean: by dataset.json, else a class file, else the ids of the first label with background 0."""
    file = path / "dataset.json"
    if file.is_file():
        told = json.loads(file.read_text(encoding="utf-8")).get("labels", {})
        pairs = {str(name): int(value) for name, value in told.items() if not isinstance(value, list)}
        if all(str(name).isdigit() for name in told):  # the Decathlon's way round
            pairs = {str(name): int(value) for value, name in told.items()}
        if pairs:
            by_id = sorted(pairs, key=lambda name: pairs[name])
            return Coding.from_names(by_id, ids=[pairs[name] for name in by_id])
        raise LabelError(str(file), expected='"labels": {"background": 0, "tumour": 1}', received=told)
    if find_class_file(path) or not labels:
        return coding_near(path, above=0)
    ids = sorted({0, *np.unique(_volume(labels[0])).astype(int).tolist()})
    names = tuple("background" if value == 0 else f"label {value}" for value in ids)
    return Coding(ClassSet(names, ((0, 0, 0), *ClassSet(names).colours[1:]), things=()), tuple(ids))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.nii*") if file.name.endswith(SUFFIXES) and not file.name.startswith("."))


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".nii")


@lru_cache(maxsize=2)
def _volume(file: Path) -> NDArray[Any]:
    """(D, H, W) or (D, H, W, C) in the file's own dtype where it has no scale of its own; kept, for its slices."""
    try:
        array: NDArray[Any] = np.asanyarray(_nibabel().load(file).dataobj)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableFile(str(file), expected="a whole NIfTI file", received=str(error)) from error
    array = array.astype(np.float32) if array.dtype == np.float64 else array.astype(array.dtype.newbyteorder("="), copy=False)
    volume = np.ascontiguousarray(array.transpose(2, 1, 0, *range(3, array.ndim)))  # (i, j, k, C) -> (D, H, W, C)
    volume.flags.writeable = False
    return volume


def _header(file: Path) -> Any:
    try:
        return _nibabel().load(file).header
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableFile(str(file), expected="a NIfTI file", received=str(error)) from error


def _nibabel() -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise MissingExtra("reading NIfTI", extra="volume") from error
    return nibabel
