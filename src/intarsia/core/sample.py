"""Sample: one image as the file holds it, with its segments: the truth of a data set, or the answer of a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find
from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Sample"]


@dataclass(frozen=True, eq=False, repr=False)
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
    classes: ClassSet | None = None
    """What the segments' classes mean; needed for pictures and counts."""

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
        for name, along in (("size", self.size), ("spacing", self.spacing)):
            if along is not None and len(along) != len(extent):
                raise InvalidNoun(
                    f"Sample {self.key!r} {name}", expected=f"{len(extent)} numbers, one for each axis of {extent}", received=along
                )
        if self.stats is not None and self.stats.shape != (self.image.shape[-1], 2):
            raise InvalidNoun(
                f"Sample {self.key!r} stats", expected=f"shape ({self.image.shape[-1]}, 2)", received=self.stats.shape
            )

    def __repr__(self) -> str:
        return f"Sample({self.key!r}, {'x'.join(map(str, self.image.shape))} {self.image.dtype}, {self.segments})"

    # -- looking: drawing lies further out than this file may import, so it is asked for by name ----------------------------

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) image, label, overlay, raw ids, and class names with their share of pixels, side by side."""
        picture: NDArray[np.uint8] = find("draw", "look")(*self._drawable(), title=self.key)
        return picture

    def show(self) -> None:
        """Opens `picture` in the system's viewer; a notebook shows it by itself."""
        find("draw", "show")(self.picture())

    def save(self, path: str | Path) -> Path:
        """The image with its segments laid over and a legend, as the suffix of `path` says; returns the path."""
        picture = find("draw", "overlay")(*self._drawable(), legend=True)
        return Path(find("draw", "save")(picture, path))

    def save_label_map(self, path: str | Path) -> Path:
        """An indexed PNG whose pixel values are class ids, 255 void, in the colours of the classes; returns the path."""
        _, segments, classes = self._drawable()
        return Path(find("draw", "save")(find("draw", "label_map")(segments, classes), path))

    def pixels(self) -> dict[str, int]:
        """The pixels of each class by name, absent classes too."""
        _, segments, classes = self._drawable()
        semantic = segments.semantic(len(classes))
        return {name: int((semantic == index).sum()) for index, name in enumerate(classes.names)}

    def count(self) -> dict[str, int]:
        """The segments of each class present, by name: objects, where they were told apart."""
        _, segments, classes = self._drawable()
        present = segments.compact().classes.tolist()
        return {name: present.count(index) for index, name in enumerate(classes.names) if index in present}

    def _drawable(self) -> tuple[NDArray[Any], Segments, ClassSet]:
        if self.segments is None or self.classes is None:
            missing = "segments" if self.segments is None else "classes"
            raise InvalidNoun(f"Sample {self.key!r}", expected="segments and classes to draw", received=f"no {missing}")
        return self.image, self.segments, self.classes
