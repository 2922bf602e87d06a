"""Boundary panoptic quality: a segment is found where its outline is (Cheng et al. 2021, arXiv 2103.16562, section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from intarsia.metrics._counted import check_number, check_pair
from intarsia.metrics._outlines import bands
from intarsia.metrics._quality import Quality, names
from intarsia.ops.boundaries import void_pieces
from intarsia.ops.segment_matching import overlap_ious, overlaps, partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.metrics._scores import Scores

__all__ = ["BoundaryPanoptic"]


class BoundaryPanoptic(Quality):
    """PQ, SQ and RQ as those of `Panoptic`, where the IoU of two segments is the lesser of that of their masks and of their bands.

    The band of a segment is what of it lies within `width` (a share of the image's diagonal, rounded, at least one pixel, along
    every axis) of another segment, of nothing, or of the image's edge. So large segments are not found by their inside alone.

    With no void numbers are those of the authors' own code. Void is unknown and never scored: a piece of it that parts the truth is
    another segment to the bands of both sides, other void makes none of its neighbours band; the authors take it for a segment of
    the truth alone, and so ask the prediction to end where it begins.

    An update is a whole image: tiles have diagonals and edges of their own.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = np.ones((2, 1, 100, 100), int)
    >>> truth[..., 50:], guess[..., 51:] = 2, 2
    >>> metric = BoundaryPanoptic(ClassSet(("left", "right")))
    >>> metric.update(Segments(truth, [0, 1]), Segments(guess, [0, 1]))
    >>> scores = metric.compute()
    >>> scores["boundary_rq"], round(scores["boundary_pq"], 3)  # IoU of the masks is 0.98
    (1.0, 0.798)
    """

    prefix: ClassVar[str] = "boundary_"
    perfect: ClassVar[dict[str, float]] = dict.fromkeys(names("boundary_"), 1.0)
    headline: ClassVar[str] = "boundary_pq"
    told: ClassVar[tuple[str, ...]] = ("boundary_pq", "boundary_sq", "boundary_rq")
    by_class: ClassVar[tuple[str, ...]] = ("class_boundary_pq", "class_boundary_sq", "class_boundary_rq")

    def __init__(
        self,
        classes: ClassSet,
        *,
        width: float = 0.02,
        keys: Iterable[str] = (),
        counts: NDArray[np.float64] | None = None,
    ) -> None:
        """Empty, or from another's `keys` and `counts` (updates, C, 5), as those of `Panoptic`."""
        check_number("boundary_panoptic width", width, lambda share: 0 < share < 1, "a share of the diagonal within 0..1")
        super().__init__(classes, keys, counts, {"width": width})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        check_pair(truth, prediction, self.classes, key)
        width = max(1, round(self.options["width"] * float(np.linalg.norm(truth.size))))
        joint = overlaps(truth, prediction)
        wanted, given = partition(truth), partition(prediction)
        pieces = void_pieces(wanted >= 0) if truth.void.any() else None
        rims = bands(wanted, given, pieces, len(truth) + 1, width)
        segments = zip((truth, prediction), (wanted, given), rims, strict=True)
        along = overlaps(*(side.with_ids(np.where(rim, ids, 0)[None]) for side, ids, rim in segments))
        ious = np.minimum(overlap_ious(joint), overlap_ious(along))
        self._add(key, self._count(ious, joint, truth, prediction))

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        about = f"boundary panoptic: band {self.options['width']:g} of the diagonal; values are 0..1, the rest are segments"
        return self._computed(about, intervals, seed)
