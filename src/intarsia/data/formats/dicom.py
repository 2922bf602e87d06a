"""dicom: series of slices as volumes, segmentations as DICOM-SEG that refers to its series."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import DatasetNotFound, LabelError, MissingExtra, UnreadableFile
from intarsia.data.class_files import find_class_file, read_classes, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.dicom_files import as_bytes, ct_slice, dicom_seg
from intarsia.data.folders import MASK_FOLDERS, found_images, walked, whole_folder
from intarsia.data.holds import Holds, check
from intarsia.data.images import write_bytes
from intarsia.data.records import Record, ends
from intarsia.ops.packing import pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["DICOM"]

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
"""The SOP class of DICOM-SEG (PS3.3, A.51)."""
TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber",
    "ReferencedSeriesSequence", "SegmentSequence", "PixelSpacing",
)  # fmt: skip


class DICOM:
    """Slices `*.dcm` anywhere below the folder, a series a volume, its planes in the order of their positions; a DICOM-SEG among
    them holds the truth of the series that it refers to, a segment a row, of the class that its label names. Values are those after
    rescaling (Hounsfield units in CT). A series without segmentation has no truth. Keys are the folders of the series.

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
        names = {files[0].parent.relative_to(path).as_posix(): uid for uid, files in series.items()}
        if len(names) < len(series):  # several series in a folder
            names = {f"{files[0].parent.relative_to(path).as_posix()}/{uid}": uid for uid, files in series.items()}
        names = {key.removeprefix("./") if key != "." else path.name: uid for key, uid in names.items()}
        records = [Record(key, series[uid][0], truths.get(uid)) for key, uid in sorted(names.items())]
        if slices:
            records = [
                Record(f"{record.key}/{plane:04d}", record.image, record.label)
                for record in records
                for plane in range(len(series[names[record.key]]))
            ]
        classes = _classes(path, list(truths.values()))
        reader = DicomReader({key: tuple(series[uid]) for key, uid in names.items()}, classes, slices)
        return Dataset(found_images(records, [path]), classes, reader, name=path.name, root=path, format="dicom")

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
    classes: ClassSet
    slices: bool

    def image(self, record: Record) -> NDArray[Any]:
        """(D, H, W, 1), or (H, W, 1) of a slice: int16 or uint16 where rescaling leaves whole numbers, else float32."""
        files = self._files(record)
        planes = [_pixels(file) for file in files]
        strange = next((file for file, plane in zip(files, planes, strict=True) if plane.shape != planes[0].shape), None)
        if strange is not None:
            raise UnreadableFile(str(strange), expected=f"the size of the series, {planes[0].shape}", received="another")
        volume = np.stack(planes)[..., None]  # (D, H, W, 1)
        return volume[0] if self.slices else volume

    def segments(self, record: Record) -> Segments | None:
        """A row for each segment that has a pixel. LabelError for a label that is no class."""
        if record.label is None:
            return None
        slices = tuple(str(_header(file).get("SOPInstanceUID", "")) for file in self._files(record))
        masks, labels = _masks(record.label, slices)  # (D, H, W, N)
        strange = next((label for label in labels if label not in self.classes.index_of), None)
        if strange is not None:
            known = ", ".join(self.classes.names)
            raise LabelError(str(record.label), expected=f"segments labelled {known}", received=repr(strange))
        rows = [self.classes.index(label) for label in labels]
        stack = np.moveaxis(masks[0] if self.slices else masks, -1, 0)  # (N, D, H, W), or (N, H, W)
        return pack(stack, rows).compact()

    def grid(self, record: Record) -> dict[str, Any]:
        """Spacing in mm along each axis, and in `geo` where the first voxel lies and how the axes run."""
        files = self._files(record)
        first, last = _header(files[0]), _header(files[-1])
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
        return ends(*self._files(record), record.label)

    def _files(self, record: Record) -> tuple[Path, ...]:
        if not self.slices:
            return self.files[record.key]
        key, _, plane = record.key.rpartition("/")
        return self.files[key][int(plane) : int(plane) + 1]


def _found(path: Path) -> tuple[dict[str, list[Path]], dict[str, Path]]:
    """The slices of each series in order, and the segmentation of each that has one."""
    series: dict[str, list[tuple[float, Path]]] = {}
    truths: dict[str, Path] = {}
    for file in sorted(_files(path)):
        header = _header(file)
        if header.get("SOPClassUID") == SEGMENTATION:
            for referred in header.get("ReferencedSeriesSequence", []):
                truths[str(referred.SeriesInstanceUID)] = file
        else:
            series.setdefault(str(header.get("SeriesInstanceUID", file.parent)), []).append((_height(header), file))
    return {uid: [file for _, file in sorted(files)] for uid, files in series.items()}, truths


def _files(path: Path) -> Iterator[Path]:
    return (file for file in walked(path) if file.suffix.lower() == ".dcm" and not file.name.startswith("."))


def _height(header: Any) -> float:
    """Where a slice lies along the normal of its plane; without a position, its number."""
    if "ImagePositionPatient" not in header or "ImageOrientationPatient" not in header:
        return float(header.get("InstanceNumber", 0) or 0)
    across, down = np.reshape([float(value) for value in header.ImageOrientationPatient], (2, 3))
    return float(np.dot(np.cross(across, down), [float(value) for value in header.ImagePositionPatient]))


def _classes(path: Path, truths: Sequence[Path]) -> ClassSet:
    """By a class file, else the labels of all segments, sorted."""
    file = find_class_file(path)
    if file is not None:
        return read_classes(file).classes
    names = sorted({str(segment.SegmentLabel) for truth in truths for segment in _header(truth).get("SegmentSequence", [])})
    return ClassSet(tuple(names) or ("none",), nothing=True)


def _pixels(file: Path) -> NDArray[Any]:
    """(H, W) of a slice, rescaled."""
    dataset = _read(file)
    try:
        stored: NDArray[Any] = dataset.pixel_array
    except (AttributeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UnreadableFile(str(file), expected="pixels of a known kind", received=str(error).splitlines()[0]) from error
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    if slope == 1 and intercept == 0:
        return stored
    values = stored * slope + intercept
    if slope % 1 or intercept % 1 or abs(values).max(initial=0) > np.iinfo(np.int16).max:
        return values.astype(np.float32)
    return values.astype(np.int16)


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


@lru_cache(maxsize=4096)
def _header(file: Path) -> Any:
    """The tags that say what a file is."""
    return _read(file, stop_before_pixels=True, specific_tags=list(TAGS))


def _read(file: Path, **options: Any) -> Any:
    pydicom = _pydicom()
    try:
        return pydicom.dcmread(file, **options)
    except (OSError, ValueError, AttributeError, EOFError, pydicom.errors.InvalidDicomError) as error:
        raise UnreadableFile(str(file), expected="a DICOM file", received=str(error).splitlines()[0]) from error


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise MissingExtra("reading DICOM", extra="volume") from error
    return pydicom
