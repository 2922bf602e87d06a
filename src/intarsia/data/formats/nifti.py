"""nifti: volumes as .nii or .nii.gz, labels on the same grid, as of the Medical Segmentation Decathlon and nnU-Net."""

from __future__ import annotations

import gzip
import json
import re
import zlib
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
from intarsia.data.nifti_files import check_grid, nifti_files, stem_of
from intarsia.data.records import Record, ends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["NIfTI"]

FOLDERS = (("imagesTr", "labelsTr", "train"), ("imagesTs", "labelsTs", "test"), ("images", "labels", ""))
IMAGES = ("image", "img")
PAIRED = re.compile(r"(?P<key>.+?)[_-](?P<kind>image|img|label|mask|seg|segmentation)$")
CHANNEL = re.compile(r"(?P<key>.+)_(?P<channel>\d{4})$")
"""How nnU-Net numbers the channels of a case."""


class NIfTI:
    """`imagesTr/KEY.nii.gz` and `labelsTr/KEY.nii.gz` (and `imagesTs`), or `images/` and `labels/`, or `KEY_image.nii.gz` beside
    `KEY_label.nii.gz`; names are those of `dataset.json` or of a class file (see docs/data.md). nnU-Net's `KEY_0000` and `KEY_0001`
    are channels of one image where `dataset.json` names several or every case counts from 0000 on. A voxel of the file's (i, j, k)
    is [k, j, i] of ours.

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
        grid=("spacing", "affine"),
        apart=False,
    )
    looks: ClassVar[str] = "imagesTr/ + labelsTr/ of .nii.gz, or KEY_image.nii.gz + KEY_label.nii.gz"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A NIfTI file in the folder or in one of images."""
        for folder in (path, *(path / images for images, _, _ in FOLDERS)):
            if files := nifti_files(folder):
                return files[0].relative_to(path).as_posix()
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
                for plane in range(_loaded(files[record.key][0]).shape[2])
            ]
        coding = _coding(path, [label for _, label, _ in cases.values() if label is not None])
        reader = NiftiReader({key: tuple(images) for key, images in files.items()}, coding, slices)
        return Dataset(found_images(records, [path]), coding.classes, reader, name=path.name, root=path, format="nifti")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The labels without image."""
        used = {record.label for record in records}
        inner = [file for _, labels, _ in FOLDERS for file in nifti_files(path / labels)]
        flat = [file for file in nifti_files(path) if (found := PAIRED.fullmatch(stem_of(file))) and found["kind"] not in IMAGES]
        return [file for file in inner + flat if file not in used]

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
        check_grid(_loaded(self.files[key][0]), _loaded(record.label), record.label)
        volume = _volume(record.label)
        if volume.ndim == 4 and volume.shape[-1] > 1:
            raise LabelError(str(record.label), expected="one id for each voxel", received=f"{volume.shape[-1]} values")
        labels = (volume if volume.ndim == 3 else volume[..., 0])[plane]  # (D, H, W, 1) -> (D, H, W)
        if labels.dtype.kind == "f":  # written so by many tools
            whole = labels.astype(np.int32)
            if not np.array_equal(whole, labels):
                raise LabelError(str(record.label), expected="whole numbers", received="fractions", hint="It was interpolated.")
            labels = whole
        return self.coding.segments(labels, str(record.label))

    def grid(self, record: Record) -> dict[str, Any]:
        """Spacing in mm along each axis of ours, and the affine of the file."""
        key, _ = self._case(record)
        header = _loaded(self.files[key][0]).header
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
    folders = []
    for images, labels, split in FOLDERS:
        place = path / "masks" if labels == "labels" and not (path / labels).is_dir() else path / labels
        folders.append((nifti_files(path / images), {stem_of(file): file for file in nifti_files(place)}, split))
    stems = [stem_of(file) for files, _, _ in folders for file in files]
    numbered = not any(stem_of(file) in known for files, known, _ in folders for file in files) and _are_channels(path, stems)
    cases: dict[str, tuple[list[Path], Path | None, str]] = {}
    for files, known, split in folders:
        for file in files:
            channel = CHANNEL.fullmatch(stem_of(file)) if numbered else None
            key = channel["key"] if channel else stem_of(file)
            case = cases.setdefault(key, ([], known.get(key), split))
            if case[0] and (case[2] != split or not channel):
                raise PairingError(str(file), expected="each case once", received=f"{case[0][0]} too", hint="Rename one of them.")
            case[0].append(file)
    if cases:
        return cases
    kinds: dict[str, dict[str, Path]] = {}
    for file in nifti_files(path):
        if found := PAIRED.fullmatch(stem_of(file)):
            kinds.setdefault(found["key"], {})["image" if found["kind"] in IMAGES else "label"] = file
    return {key: ([pair["image"]], pair.get("label"), "") for key, pair in kinds.items() if "image" in pair}


def _are_channels(path: Path, stems: list[str]) -> bool:
    """Whether the numbers at the ends of stems count channels: patients may be numbered alike."""
    numbers: dict[str, list[int]] = {}
    for stem in stems:
        if found := CHANNEL.fullmatch(stem):
            numbers.setdefault(found["key"], []).append(int(found["channel"]))
    told = _told(path)
    named = told.get("channel_names", told.get("modality")) or {}
    if len(named) > 1 and any(0 in ones for ones in numbers.values()):
        for key, ones in numbers.items():
            if sorted(ones) != list(range(len(named))):
                expected = f"{key}_0000 to {key}_{len(named) - 1:04d}, the {len(named)} channels of dataset.json"
                raise PairingError(str(path), expected=expected, received=", ".join(f"{one:04d}" for one in sorted(ones)))
        return True
    return all(sorted(ones) == list(range(len(ones))) for ones in numbers.values())


def _told(path: Path) -> dict[str, Any]:
    """What `dataset.json` says; nothing where there is none. LabelError for what is no JSON."""
    file = path / "dataset.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig")) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise LabelError(str(file), expected="JSON", received=str(error)) from error
    if not isinstance(content, dict):
        raise LabelError(str(file), expected='an object such as {"labels": {...}}', received=type(content).__name__)
    return content


def _coding(path: Path, labels: list[Path]) -> Coding:
    """What the ids mean: by dataset.json, else a class file, else the ids of the first label with background 0."""
    file = path / "dataset.json"
    if file.is_file():
        told = _told(path).get("labels", {})
        try:
            if all(name.isdigit() for name in told):  # the Decathlon's way round
                pairs = {str(name): int(value) for value, name in told.items()}
            else:
                pairs = {name: int(value) for name, value in told.items() if not isinstance(value, list)}
        except (AttributeError, TypeError, ValueError):
            pairs = {}
        if pairs:
            by_id = sorted(pairs, key=lambda name: pairs[name])
            return Coding.from_names(by_id, ids=[pairs[name] for name in by_id])
        raise LabelError(str(file), expected='"labels": {"background": 0, "tumour": 1}', received=told)
    if find_class_file(path) or not labels:
        return coding_near(path, above=0)
    ids = sorted({0, *np.unique(_volume(labels[0])).astype(int).tolist()})
    names = tuple("background" if value == 0 else f"label {value}" for value in ids)
    return Coding(ClassSet(names, ((0, 0, 0), *ClassSet(names).colours[1:]), things=()), tuple(ids))


@lru_cache(maxsize=2)
def _volume(file: Path) -> NDArray[Any]:
    """(D, H, W) or (D, H, W, C) in the file's own dtype where it has no scale of its own; kept, for its slices."""
    image = _loaded(file)
    try:
        if file.suffix.lower() == ".gz":  # nibabel stops before the check sum at the end
            image = type(image).from_bytes(gzip.decompress(file.read_bytes()))
        array: NDArray[Any] = np.asanyarray(image.dataobj)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise UnreadableFile(str(file), expected="a whole NIfTI file", received=str(error)) from error
    array = array.astype(np.float32) if array.dtype == np.float64 else array.astype(array.dtype.newbyteorder("="), copy=False)
    volume = np.ascontiguousarray(array.transpose(2, 1, 0, *range(3, array.ndim)))  # (i, j, k, C) -> (D, H, W, C)
    volume.flags.writeable = False
    return volume


def _loaded(file: Path) -> Any:
    """The image of nibabel, its voxels not read yet. Raises UnreadableFile for what is none, or of other axes than 3 and C."""
    nibabel = _nibabel()
    try:
        image = nibabel.load(file)
    except (OSError, ValueError, EOFError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise UnreadableFile(str(file), expected="a NIfTI file", received=str(error)) from error
    if len(image.shape) not in (3, 4):
        hint = "An image of two axes belongs into images/ + masks/ as PNG or TIFF."
        raise UnreadableFile(str(file), expected="a volume of 3 axes, or 4 with channels", received=image.shape, hint=hint)
    return image


def _nibabel() -> Any:
    """The package. Raises MissingExtra where it is not installed."""
    try:
        import nibabel
    except ImportError as error:
        raise MissingExtra("reading NIfTI", extra="volume") from error
    return nibabel
