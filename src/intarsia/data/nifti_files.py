"""NIfTI files: which there are, their voxels, and whether a label lies on the voxels of its image."""

from __future__ import annotations

import gzip
import re
import zlib
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import MissingExtra, PairingError, UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["check_grid", "loaded", "nibabel_of", "nifti_files", "stem_of", "volume_of"]

SUFFIXES = (".nii.gz", ".nii")
SHIFT = 0.1
"""By how much of a voxel the corners of a label may lie off those of its image."""


def check_grid(image: Path, label: Path) -> None:
    """Raises PairingError where a label lies on other voxels than its image."""
    theirs, ours = loaded(image), loaded(label)
    hint = "Resample the label to the grid of the image, nearest neighbour."
    if theirs.shape[:3] != ours.shape[:3]:
        raise PairingError(str(label), expected=f"the grid of its image, {theirs.shape[:3]}", received=ours.shape[:3], hint=hint)
    if not all(one.header.get("sform_code", 1) or one.header.get("qform_code", 1) for one in (theirs, ours)):
        return  # a file that tells no place says nothing against it
    corners = np.array([*product(*((0, extent - 1) for extent in theirs.shape[:3]))])  # (8, 3)
    apart = corners @ (ours.affine - theirs.affine)[:3, :3].T + (ours.affine - theirs.affine)[:3, 3]
    if np.abs(apart).max() > SHIFT * min(theirs.header.get_zooms()[:3]):
        raise PairingError(
            str(label),
            expected=f"the affine of its image, {theirs.affine[:3].round(4).tolist()}",
            received=ours.affine[:3].round(4).tolist(),
            hint=hint,
        )


def nifti_files(folder: Path) -> list[Path]:
    """The NIfTI files of a folder, sorted; none where it is not there."""
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.name.lower().endswith(SUFFIXES) and not file.name.startswith("."))


def stem_of(file: Path) -> str:
    """The name without its suffix or both."""
    return re.sub(r"\.nii(\.gz)?$", "", file.name, flags=re.IGNORECASE)


@lru_cache(maxsize=2)
def volume_of(file: Path) -> NDArray[Any]:
    """(D, H, W) or (D, H, W, C) in the file's own dtype where it has no scale of its own; kept, for its slices."""
    image = loaded(file)
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


def loaded(file: Path) -> Any:
    """The image of nibabel, its voxels not read yet. Raises UnreadableFile for what is none, or of other axes than 3 and C."""
    nibabel = nibabel_of()
    try:
        image = nibabel.load(file)
    except (OSError, ValueError, EOFError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise UnreadableFile(str(file), expected="a NIfTI file", received=str(error)) from error
    if len(image.shape) not in (3, 4):
        hint = "An image of two axes belongs into images/ + masks/ as PNG or TIFF."
        raise UnreadableFile(str(file), expected="a volume of 3 axes, or 4 with channels", received=image.shape, hint=hint)
    return image


def nibabel_of() -> Any:
    """The package. Raises MissingExtra where it is not installed."""
    try:
        import nibabel
    except ImportError as error:
        raise MissingExtra("reading NIfTI", extra="volume") from error
    return nibabel
