"""Sample: one image as the file holds it, with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["Sample"]


@dataclass(frozen=True, eq=False)
class Sample:
    """An image (*S, C) in the file's own dtype, its segments, and what must not be lost on the way.

    `size` is that of the file, before any transform, and is filled in when left out.
    """

    image: NDArray[Any]
    """(H, W, C) or (D, H, W, C)."""
    segments: Segments | None = None
    """None where there is no truth."""
    key: str = ""
    """Names the image within its data set; seeds its augmentation."""
    size: tuple[int, ...] = ()
    """S of the file."""
    valid: NDArray[np.bool_] | None = None
    """(*S) False on padding and nodata; None means everywhere valid."""
    stats: NDArray[np.float32] | None = None
    """(C, 2) low and high of the whole image for `Pixels` of kind per_image."""
    spacing: tuple[float, ...] | None = None
    """The pixel's extent along each axis of S, in mm for volumes, where the file says."""
    geo: dict[str, Any] | None = None
    """Geotransform and CRS, where the file has them."""

    def __post_init__(self) -> None:
        if self.image.ndim not in (3, 4) or self.image.dtype.kind not in "uif":
            raise InvalidNoun(
                f"Sample {self.key!r} image",
                expected="numbers of shape (H, W, C) or (D, H, W, C)",
                received=f"{self.image.dtype} {self.image.shape}",
            )
        extent = self.image.shape[:-1]
        if not self.size:
            object.__setattr__(self, "size", extent)
        for name, size in (
            ("segments", None if self.segments is None else self.segments.size),
            ("valid", None if self.valid is None else self.valid.shape),
        ):
            if size is not None and size != extent:
                raise InvalidNoun(f"Sample {self.key!r} {name}", expected=f"the image's size {extent}", received=size)
        if self.stats is not None and self.stats.shape != (self.image.shape[-1], 2):
            raise InvalidNoun(
                f"Sample {self.key!r} stats", expected=f"shape ({self.image.shape[-1]}, 2)", received=self.stats.shape
            )
