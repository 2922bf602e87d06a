"""dicom: series of slices as volumes, segmentations as DICOM-SEG that refers to its series."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import DatasetNotFound, LabelError, PairingError
from intarsia.data.class_files import find_class_file, read_classes, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.dicom_files import as_bytes, ct_slice, dicom_seg, header_of, height_of, same_planes, stacked
from intarsia.data.folders import IMAGE_FOLDERS, MASK_FOLDERS, found_images, walked, whole_folder
from intarsia.data.holds import Holds, check
from intarsia.data.images import write_bytes
from intarsia.data.records import Record, ends
from intarsia.ops.packing import pack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["DICOM"]

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
"""The SOP class of DICOM-SEG (PS3.3, A.51)."""
LABEL = "label"
"""What stands before the number of a series in a folder of labels."""


class DICOM:
    """Slices `*.dcm` anywhere below the folder, a series a volume, its planes in the order of their positions; a DICOM-SEG among
    them holds the truth of the series that it refers to, a segment a row, of the class that its label names. Values are those after
    rescaling (Hounsfield units in CT). A series without one, in a folder of labels such as `labels/CASE/` beside `images/CASE/`,
    holds the ids of the series on the same planes. Other series have no truth. Keys are the folders of the series.

    DICOM PS3.3; read and written by pydicom and highdicom.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        instances=True,
        overlap=True,
        void=False,
        volumes=True,
        images=False,
        unlabelled=True,
        folders=False,
        channels=(1,),
        dtypes=("uint16", "int16"),
        splits=("",),
        grid=("spacing",),
        reserved=tuple(name.lower() for name in MASK_FOLDERS),
    )
    looks: ClassVar[str] = "series of .dcm, with a DICOM-SEG for each"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A .dcm file in the folder or below."""
        file = next(_files(path), None)
        return file.relative_to(path).as_posix() if file is not None else ""

    @staticmethod
    def open(path: Path, *, slices: bool = False) -> Dataset:
        """The data set in a folder, of volumes, or with `slices` of their planes as images."""
        series, truths = _found(path)
        if not series:
            raise DatasetNotFound(str(path), expected=DICOM.looks, received="neither")
        series, labels = _parted(path, series, truths)
        names = {files[0].parent.relative_to(path).as_posix(): uid for uid, files in series.items()}
        if len(names) < len(series):  # several series in a folder
            names = {f"{files[0].parent.relative_to(path).as_posix()}/{uid}": uid for uid, files in series.items()}
        names = {key.removeprefix("./") if key != "." else path.name: uid for key, uid in names.items()}
        first = truths | {uid: files[0] for uid, files in labels.items()}
        records = [Record(key, series[uid][0], first.get(uid)) for key, uid in sorted(names.items())]
        if slices:
            records = [
                Record(f"{record.key}/{plane:04d}", record.image, record.label)
                for record in records
                for plane in range(len(series[names[record.key]]))
            ]
        coding = _coding(path, list(truths.values()), list(labels.values()))
        ids = {key: tuple(labels[uid]) for key, uid in names.items() if uid in labels}
        reader = DicomReader({key: tuple(series[uid]) for key, uid in names.items()}, ids, coding, slices)
        return Dataset(found_images(records, [path]), coding.classes, reader, name=path.name, root=path, format="dicom")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The DICOM-SEG of series that are not there."""
        return sorted(set(_found(path)[1].values()) - {record.label for record in records if record.label is not None})

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them, by a class file beside the series."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `KEY/0001.dcm` ... as CT slices, `KEY/segmentation.dcm`, and `classes.json`."""
        check(DICOM, dataset, "dicom")
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                slices = sample.image[..., 0]  # (D, H, W)
                planes = [ct_slice(pixels, record.key, number, sample.spacing) for number, pixels in enumerate(slices)]
                for number, plane in enumerate(planes, start=1):
                    write_bytes(folder / record.key / f"{number:04d}.dcm", as_bytes(plane))
                if sample.segments is not None:
                    segmentation = dicom_seg(sample.segments, dataset.classes, planes, record.key)
                    write_bytes(folder / record.key / "segmentation.dcm", as_bytes(segmentation))
            write_bytes(folder / "classes.json", write_classes(Coding.from_classes(dataset.classes)))


@dataclass(frozen=True)
class DicomReader:
    """Reads the slices of a series, or one of them."""

    files: dict[str, tuple[Path, ...]]
    """Of each key the slices in the order of their positions."""
    ids: dict[str, tuple[Path, ...]]
    """Of the keys that have one the slices of the label series."""
    coding: Coding
    slices: bool

    def image(self, record: Record) -> NDArray[Any]:
        """(D, H, W, 1), or (H, W, 1) of a slice: int16 or uint16 where rescaling leaves whole numbers, else float32."""
        volume = stacked(self._files(record))[..., None]  # (D, H, W, 1)
        return volume[0] if self.slices else volume

    def segments(self, record: Record) -> Segments | None:
        """A row for each segment that has a pixel, or for each class. LabelError for a label that is no class."""
        if record.label is None:
            return None
        if files := self._labels(record):
            labels = stacked(files)
            if labels.dtype.kind not in "ui":
                raise LabelError(str(files[0]), expected="whole numbers", received=labels.dtype)
            return self.coding.segments(labels[0] if self.slices else labels, str(files[0]))
        slices = tuple(str(header_of(file).get("SOPInstanceUID", "")) for file in self._files(record))
        masks, names = _masks(record.label, slices)  # (D, H, W, N)
        classes = self.coding.classes
        strange = next((name for name in names if name not in classes.index_of), None)
        if strange is not None:
            known = ", ".join(classes.names)
            raise LabelError(str(record.label), expected=f"segments labelled {known}", received=repr(strange))
        rows = [classes.index(name) for name in names]
        stack = np.moveaxis(masks[0] if self.slices else masks, -1, 0)  # (N, D, H, W), or (N, H, W)
        return pack(stack, rows).compact()

    def grid(self, record: Record) -> dict[str, Any]:
        """Spacing in mm along each axis, and in `geo` where the first voxel lies and how the axes run."""
        files = self._files(record)
        first, last = header_of(files[0]), header_of(files[-1])
        measures = first.get("PixelSpacing")
        if measures is None or not hasattr(first, "ImagePositionPatient"):
            return {}
        plane = tuple(float(value) for value in measures)
        if self.slices:
            return {"spacing": plane}
        span = np.subtract(last.ImagePositionPatient, first.ImagePositionPatient).astype(float)
        gap = float(np.linalg.norm(span)) / max(len(files) - 1, 1) or 1.0
        geo = {"origin": [float(v) for v in first.ImagePositionPatient], "axes": [float(v) for v in first.ImageOrientationPatient]}
        return {"spacing": (gap, *plane), "geo": geo}

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of the files."""
        return ends(*self._files(record), *(self._labels(record) or (record.label,)))

    def _files(self, record: Record) -> tuple[Path, ...]:
        return self._planes(self.files, record)

    def _labels(self, record: Record) -> tuple[Path, ...]:
        return self._planes(self.ids, record)

    def _planes(self, files: dict[str, tuple[Path, ...]], record: Record) -> tuple[Path, ...]:
        if not self.slices:
            return files.get(record.key, ())
        key, _, plane = record.key.rpartition("/")
        return files.get(key, ())[int(plane) : int(plane) + 1]


def _found(path: Path) -> tuple[dict[str, list[Path]], dict[str, Path]]:
    """The slices of each series in order, and the segmentation of each that has one."""
    series: dict[str, list[tuple[float, Path]]] = {}
    truths: dict[str, Path] = {}
    for file in sorted(_files(path)):
        header = header_of(file)
        if header.get("SOPClassUID") == SEGMENTATION:
            for referred in header.get("ReferencedSeriesSequence", []):
                truths[str(referred.SeriesInstanceUID)] = file
        else:
            name = str(header.get("SeriesInstanceUID", file.parent))
            if not set(MASK_FOLDERS).isdisjoint(file.relative_to(path).parts[:-1]):
                name = f"{LABEL} {name}"  # some tools leave a label the number of its image
            series.setdefault(name, []).append((height_of(header), file))
    return {uid: [file for _, file in sorted(files)] for uid, files in series.items()}, truths


def _parted(
    path: Path, series: dict[str, list[Path]], truths: Collection[str]
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """The series of images, and the label series of those that have one. PairingError for a label series on no image's planes."""
    plain = {uid: uid.removeprefix(f"{LABEL} ") for uid in series}
    series = {plain[uid] if plain[uid] in truths and plain[uid] not in series else uid: files for uid, files in series.items()}
    images = {uid: files for uid, files in series.items() if not uid.startswith(LABEL)}
    if not images:
        return {uid.removeprefix(f"{LABEL} "): files for uid, files in series.items()}, {}

    def case(files: list[Path]) -> list[str]:
        return [part for part in files[0].relative_to(path).parts[:-1] if part not in (*IMAGE_FOLDERS, *MASK_FOLDERS)]

    labels: dict[str, list[Path]] = {}
    for uid in series.keys() - images.keys():
        near = [image for image in images if case(images[image]) == case(series[uid])]
        found = [image for image in near if same_planes(images[image], series[uid])]
        if len(found) != 1 or found[0] in labels:
            raise PairingError(
                str(series[uid][0].parent),
                expected="labels on the planes of one series of images",
                received=f"{len(near)} series beside it, {len(found)} on its {len(series[uid])} planes",
                hint="Resample the labels to the planes of the images, nearest neighbour.",
            )
        labels[found[0]] = series[uid]
    return images, labels


def _files(path: Path) -> Iterator[Path]:
    return (file for file in walked(path) if file.suffix.lower() == ".dcm" and not file.name.startswith("."))


def _coding(path: Path, truths: Sequence[Path], labels: Sequence[Sequence[Path]]) -> Coding:
    """By a class file, else the labels of all segments, sorted, or the ids of the label series with background 0."""
    file = find_class_file(path)
    if file is not None:
        return read_classes(file)
    if labels and truths:
        raise LabelError(str(path), expected="a class file, for labels of both kinds", received="none")
    if labels:
        ids = sorted({0}.union(*(np.unique(stacked(files)).tolist() for files in labels)))
        return Coding(ClassSet(tuple(f"label {value}" if value else "background" for value in ids)), tuple(ids))
    names = sorted({str(segment.SegmentLabel) for truth in truths for segment in header_of(truth).get("SegmentSequence", [])})
    return Coding.from_classes(ClassSet(tuple(names) or ("none",), nothing=True))


@lru_cache(maxsize=2)
def _masks(file: Path, slices: tuple[str, ...]) -> tuple[NDArray[np.bool_], list[str]]:
    """(D, H, W, N) the pixels of each segment on these slices, and the labels."""
    from highdicom.seg import segread

    try:
        segmentation = segread(file)
        masks = segmentation.get_pixels_by_source_instance(
            slices, combine_segments=False, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
        )
    except (ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise LabelError(str(file), expected="segments on the slices of its series", received=str(error).splitlines()[0]) from error
    labels = [str(segmentation.get_segment_description(number).SegmentLabel) for number in segmentation.segment_numbers]
    return np.asarray(masks) > 0, labels
