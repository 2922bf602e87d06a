"""Pictures written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from intarsia.core.errors import OptionError
from intarsia.core.files import whole_file

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["save"]

KINDS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".jpg": {"quality": 92, "subsampling": 0},  # full colour resolution: outlines are thin
    ".jpeg": {"quality": 92, "subsampling": 0},
    ".webp": {"quality": 92},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
}
BLURRING = (".jpg", ".jpeg", ".webp")


def save(picture: NDArray[np.uint8] | Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write an array (H, W, 3) uint8 or a Pillow image as the suffix of `path` says, making the folder; gives the path.

    A kill or a full disk leaves an older file untouched. Raises OptionError for a suffix that is none of the known ones, and for a
    label map into a lossy kind, which would change its ids.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise OptionError(str(path), expected=f"a picture file: {', '.join(KINDS)}", received=suffix or "no suffix")
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if image.mode != "RGB" and suffix in BLURRING:
        raise OptionError(str(path), expected="a lossless kind for label ids", received=suffix, hint="Name it .png.")
    with whole_file(path) as draft:
        image.save(draft, **KINDS[suffix])
    return path
