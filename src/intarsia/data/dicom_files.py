"""DICOM files: what the slices of a series tell, and slices of CT and DICOM-SEG as written."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import MissingExtra, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["as_bytes", "ct_slice", "dicom_seg", "header_of", "height_of", "same_planes", "stacked"]

TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber",
    "ReferencedSeriesSequence", "SegmentSequence", "PixelSpacing", "Rows", "Columns",
)  # fmt: skip


def as_bytes(dataset: Any) -> bytes:
    """The file that holds a DICOM data set."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def ct_slice(pixels: NDArray[Any], key: str, number: int, spacing: tuple[float, ...] | None) -> Any:
    """A CT slice; its UIDs depend on key and number alone."""
    from pydicom.dataset import Dataset as Tags
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    gap, down, across = spacing or (1.0, 1.0, 1.0)
    signed = pixels.dtype == np.int16
    tags = Tags()
    tags.file_meta = FileMetaDataset()
    tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    tags.SOPClassUID = tags.file_meta.MediaStorageSOPClassUID = CTImageStorage
    tags.SOPInstanceUID = tags.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[key, str(number)])
    tags.StudyInstanceUID = generate_uid(entropy_srcs=[key, "study"])
    tags.SeriesInstanceUID = generate_uid(entropy_srcs=[key, "series"])
    tags.FrameOfReferenceUID = generate_uid(entropy_srcs=[key, "frame"])
    tags.Modality, tags.PatientID, tags.PatientName, tags.StudyID = "CT", key[:64], f"{key[:60]}^", "1"
    tags.PatientBirthDate = tags.PatientSex = tags.StudyDate = tags.StudyTime = tags.AccessionNumber = ""
    tags.ReferringPhysicianName = tags.PositionReferenceIndicator = tags.Manufacturer = ""
    tags.SeriesNumber, tags.InstanceNumber = 1, number + 1
    tags.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    tags.ImagePositionPatient = [0, 0, round(number * gap, 6)]
    tags.PixelSpacing, tags.SliceThickness = [down, across], gap
    tags.Rows, tags.Columns = pixels.shape
    tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
    tags.BitsAllocated = tags.BitsStored = 16
    tags.HighBit, tags.PixelRepresentation = 15, int(signed)
    tags.RescaleSlope, tags.RescaleIntercept = 1, 0
    tags.PixelData = np.ascontiguousarray(pixels).tobytes()
    return tags


def dicom_seg(segments: Segments, classes: ClassSet, planes: Sequence[Any], key: str) -> Any:
    """A DICOM-SEG of the rows; of no row, a segment of the first class without pixels."""
    from highdicom.seg import Segmentation as DicomSegmentation
    from highdicom.seg import SegmentationTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    masks = segments.masks if len(segments) else np.zeros((1, *segments.size), np.bool_)  # (N, D, H, W)
    rows = segments.classes.tolist() or [0]
    described = [
        SegmentDescription(number, classes.names[index], codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for number, index in enumerate(rows, start=1)
    ]
    return DicomSegmentation(
        planes,
        np.moveaxis(masks, 0, -1).astype(np.uint8),  # (N, D, H, W) -> (D, H, W, N)
        SegmentationTypeValues.BINARY,
        described,
        series_instance_uid=generate_uid(entropy_srcs=[key, "segmentation"]),
        series_number=2,
        sop_instance_uid=generate_uid(entropy_srcs=[key, "segmentation", "1"]),
        instance_number=1,
        manufacturer="Intarsia",
        manufacturer_model_name="Intarsia",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=False,
    )


def same_planes(images: list[Path], labels: list[Path]) -> bool:
    """Whether two series have the same planes, to a hundredth of a mm."""
    tags = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    ours, theirs = (
        [
            [header.Rows, header.Columns, *(float(v) for tag in tags for v in header.get(tag) or ())]
            for header in map(header_of, files)
        ]
        for files in (images, labels)
    )
    return [len(one) for one in ours] == [len(one) for one in theirs] and np.allclose(ours, theirs, atol=1e-2)


def height_of(header: Any) -> float:
    """Where a slice lies along the normal of its plane; without a position, its number."""
    if "ImagePositionPatient" not in header or "ImageOrientationPatient" not in header:
        return float(header.get("InstanceNumber", 0) or 0)
    across, down = np.reshape([float(value) for value in header.ImageOrientationPatient], (2, 3))
    return float(np.dot(np.cross(across, down), [float(value) for value in header.ImagePositionPatient]))


def stacked(files: Sequence[Path]) -> NDArray[Any]:
    """(D, H, W) the planes of a series, rescaled."""
    planes = [_pixels(file) for file in files]
    strange = next((file for file, plane in zip(files, planes, strict=True) if plane.shape != planes[0].shape), None)
    if strange is not None:
        raise UnreadableFile(str(strange), expected=f"the size of the series, {planes[0].shape}", received="another")
    return np.stack(planes)


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


@lru_cache(maxsize=4096)
def header_of(file: Path) -> Any:
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
