"""Whether objects are found with their outlines: boundary AP (Cheng et al. 2021, arXiv 2103.16562, section 5)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.metrics._counted import check_number, check_pair
from intarsia.metrics._detections import Detections, Pairs, names
from intarsia.ops.boundaries import band
from intarsia.ops.greedy_matching import THRESHOLDS
from intarsia.ops.object_overlaps import object_overlaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.metrics._scores import Scores

    Rim = tuple[tuple[slice, ...], NDArray[np.bool_]]
    """A window of the image, and the rim of an object within it."""

__all__ = ["BoundaryInstance"]


class BoundaryInstance(Detections):
    """AP and AR as those of `Instance`, the IoU of two masks being the lesser of their own and that of their rims.

    The rim of a mask is what of it lies within `width` (a share of the image's diagonal, rounded, at least one pixel) of its
    outside, or of the image's, along every axis. So large objects are not found by their inside alone. With crowd only masks count.

    With no void the numbers are those of the authors' own code (github.com/bowenc0221/boundary-iou-api). Along void, which they do
    not know, neither side has a rim. An update is a whole image: tiles cut objects in two.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = np.zeros((2, 1, 100, 100), int)
    >>> truth[..., 10:60], guess[..., 11:61] = 1, 1
    >>> metric = BoundaryInstance(ClassSet(("car",), things=("car",)))
    >>> metric.update(Segments(truth, [0]), Segments(guess, [0]))  # IoU of the masks is 0.96
    >>> round(metric.compute()["boundary_ap"], 3)
    0.3
    """

    kinds: ClassVar[tuple[str, ...]] = ("boundary",)
    perfect: ClassVar[dict[str, float]] = dict.fromkeys(names("boundary"), 1.0)
    headline: ClassVar[str] = "boundary_ap"
    told: ClassVar[tuple[str, ...]] = ("boundary_ap", "boundary_ap50")
    by_class: ClassVar[tuple[str, ...]] = ("class_boundary_ap", "class_boundary_ap50", "class_boundary_ar")

    def __init__(
        self,
        classes: ClassSet,
        *,
        width: float = 0.02,
        max_detections: int = 100,
        keys: Iterable[str] = (),
        counts: Iterable[NDArray[Any]] | None = None,
    ) -> None:
        """Empty, or from another's `keys` and `counts`: of each update the rows, an object or a detection each."""
        check_number("boundary_instance width", width, lambda share: 0 < share < 1, "a share of the diagonal within 0..1")
        super().__init__(classes, keys, counts, {"width": width, "max_detections": max_detections})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        check_pair(truth, prediction, self.classes, key)
        pixels = object_overlaps(truth, prediction)
        pairs = Pairs(truth, prediction, pixels, self._things, self.options["max_detections"])
        overlap = pairs.overlap(pixels.shared, pixels.truth, pixels.prediction)
        width = max(1, round(self.options["width"] * float(np.linalg.norm(truth.size))))
        known = ~truth.void if truth.void.any() else None
        wanted, given = (_rims(side, known, width) for side in (truth, prediction))
        for detection, row in np.argwhere((overlap >= THRESHOLDS[0]) & ~pairs.crowd).tolist():
            both = _iou(wanted(int(pairs.objects[row])), given(int(pairs.detections[detection])))
            overlap[detection, row] = min(overlap[detection, row], both)
        self._add(key, self._rows(truth, prediction, pairs, (overlap,), (pixels.prediction,)))

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        about = f"boundary instance: band {self.options['width']:g} of the diagonal; AP and AR are 0..1"
        return self._computed(about, intervals, seed)


def _rims(segments: Segments, known: NDArray[np.bool_] | None, width: int) -> Callable[[int], Rim]:
    """The rim of a row, looked for once."""
    boxes = segments.with_ids(segments.ids).boxes.astype(np.int64)  # of the pixels, whatever boxes were given
    dims = len(segments.size)

    @cache
    def rim(row: int) -> Rim:
        low, high = boxes[row, :dims][::-1], boxes[row, dims:][::-1]  # of x, y, z to those of S
        if known is not None:  # what is void lies beside the mask, not beyond the window
            low, high = np.maximum(low - width, 0), np.minimum(high + width, segments.size)
        window = tuple(map(slice, low.tolist(), high.tolist()))
        mask = (segments.ids[:, *window] == row + 1).any(axis=0)
        within = None if known is None else known[window]
        return window, mask & band(mask, width, within)

    return rim


def _iou(one: Rim, other: Rim) -> float:
    """Of two rims in windows of their own, which overlap."""
    starts = [max(a.start, b.start) for a, b in zip(one[0], other[0], strict=True)]
    stops = [min(a.stop, b.stop) for a, b in zip(one[0], other[0], strict=True)]
    first, second = (
        rim[tuple(slice(a - own.start, b - own.start) for a, b, own in zip(starts, stops, window, strict=True))]
        for window, rim in (one, other)
    )
    both = int(np.count_nonzero(first & second))
    return both / max(1, int(np.count_nonzero(one[1])) + int(np.count_nonzero(other[1])) - both)
