"""NIfTI files: which there are, and whether a label lies on the voxels of its image."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import PairingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_grid", "nifti_files", "stem_of"]

SUFFIXES = (".nii.gz", ".nii")
SHIFT = 0.1
"""By how much of a voxel the corners of a label may lie off those of its image."""


def check_grid(theirs: Any, ours: Any, label: Path) -> None:
    """Raises PairingError where a label, of nibabel's `ours`, lies on other voxels than its image, `theirs`."""
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
