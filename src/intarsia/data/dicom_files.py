"""DICOM as written: slices of CT, and DICOM-SEG."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["as_bytes", "ct_slice", "dicom_seg"]


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
