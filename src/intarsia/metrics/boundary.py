"""How well the outlines of classes are met: boundary IoU and boundary F1.

Boundary IoU is that of Cheng et al. 2021 (arXiv 2103.16562), summed over the data set as IoU is; with no void it equals their code.
Boundary F1 is that of Csurka et al. 2013 (BMVC, section 2.3): per image and class, then averaged over images. Deviations: the edge
of the image is no outline in boundary F1 (as in DAVIS), or every class that touches it would be right there for nothing; a class
that only truth or prediction holds has F1 0. A side holds a class where a pixel of it is known.

Void is unknown, and is never scored: `_outlines` says what that makes of an outline that runs along it. A piece of void that parts
the truth is another class to the band of both truth and prediction; other void makes none of its neighbours band.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.metrics._counted import Counted, check_number, holds, label_maps, mean_defined, ratio
from intarsia.metrics._outlines import bands, outlines
from intarsia.metrics._scores import Scores
from intarsia.ops.boundaries import nearest_distances, void_pieces
from intarsia.ops.runs import joint_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Boundary"]


class Boundary(Counted):
    """IoU within the bands along the outlines, and F1 of the outlines themselves, per class and as the mean over classes.

    `width` and `tolerance` are shares of the image's diagonal. With T the pixels of a class in the truth that lie within `width`
    (rounded, at least one pixel, along every axis) of another class or of the image's edge, and P those in the prediction:

        boundary IoU = |T and P| / |T or P|,    pixels summed over images

    With t and p the pixels of the class that touch another class by a side, and precision the share of p within `tolerance`
    (Euclidean) of t, recall the share of t within it of p:

        boundary F1 = 2 precision recall / (precision + recall),    mean over the images where t or p is not empty

    A share of nothing is 1; F1 is 0 where only one of truth and prediction holds the class.

    An update is a whole image: tiles have diagonals and edges of their own.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = np.zeros((2, 100, 100), int)
    >>> truth[:, 50:], guess[:, 52:] = 1, 1
    >>> metric = Boundary(ClassSet(("left", "right")), width=0.03)
    >>> metric.update(Segments.from_semantic(truth, 2), Segments.from_semantic(guess, 2))
    >>> scores = metric.compute()
    >>> round(scores["mean_boundary_iou"], 3), scores["mean_boundary_f1"]
    (0.711, 0.0)
    """

    perfect: ClassVar[dict[str, float]] = {"mean_boundary_iou": 1.0, "mean_boundary_f1": 1.0}
    headline: ClassVar[str] = "mean_boundary_iou"
    by_class: ClassVar[tuple[str, ...]] = ("boundary_iou", "boundary_f1")

    def __init__(
        self,
        classes: ClassSet,
        *,
        width: float = 0.02,
        tolerance: float = 0.0075,
        keys: Iterable[str] = (),
        counts: NDArray[np.float64] | None = None,
    ) -> None:
        """Empty, or from another's `keys` and `counts` (updates, C, 5): pixels in both bands, in the truth's, in the prediction's;
        F1, and whether it is defined.
        """
        for name, value in (("width", width), ("tolerance", tolerance)):
            check_number(f"boundary {name}", value, lambda share: 0 < share < 1, "a share of the diagonal within 0..1")
        super().__init__(classes, (len(classes), 5), np.float64, keys, counts, {"width": width, "tolerance": tolerance})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        nothing = len(self.classes)
        diagonal = float(np.linalg.norm(truth.size))
        width = max(1, round(self.options["width"] * diagonal))
        count = np.zeros((len(self.classes), 5))
        for members, wanted, given, known in label_maps(truth, prediction, self.classes, key):
            pieces = None if known is None else void_pieces(known)
            rims = bands(wanted, given, pieces, nothing + 2, width)
            here, there = (np.where(rim, labels, nothing) for rim, labels in zip(rims, (wanted, given), strict=True))
            joint = joint_histogram(here, there, nothing + 3, nothing + 3)  # classes, nothing (also where no band is), void, none
            count[members, 0] = np.diagonal(joint)[members]
            count[members, 1], count[members, 2] = joint.sum(axis=1)[members], joint.sum(axis=0)[members]
            present = (holds(labels, known, nothing) for labels in (wanted, given))
            lines = outlines(wanted, given, pieces, nothing, frame=False)
            for index, (in_truth, in_guess, (of_truth, of_guess, maybe)) in enumerate(zip(*present, lines, strict=True)):
                if in_truth != in_guess:
                    count[index, 3:] = 0, 1
                elif len(of_truth) or len(of_guess):
                    count[index, 3:] = _f1(of_truth, of_guess, maybe, self.options["tolerance"] * diagonal), 1
        self._add(key, count)

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        counts, values, ends = self.computed(intervals, seed)
        band, tolerance = self.options["width"], self.options["tolerance"]
        about = f"boundary: band {band:g}, tolerance {tolerance:g} of the diagonal; values are 0..1, F1 is a mean over images"
        return Scores(about, self.classes.names, len(counts), values, ends, self.options)

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,) or (R, C), of R rows of sums over images."""
        both, truth, guess, f1, defined = np.moveaxis(sums.reshape(len(sums), -1, 5), 2, 0)  # (R, C) each
        iou, mean_f1 = ratio(both, truth + guess - both), ratio(f1, defined)
        return {
            "mean_boundary_iou": mean_defined(iou),
            "mean_boundary_f1": mean_defined(mean_f1),
            "boundary_iou": iou,
            "boundary_f1": mean_f1,
        }


def _f1(truth: NDArray[Any], guess: NDArray[Any], maybe: NDArray[Any], tolerance: float) -> float:
    """F1 of two outlines (n, d), not both empty, matched within `tolerance` pixels; the truth's may also be at `maybe`."""
    precision, recall = _matched(guess, maybe, tolerance), _matched(truth, guess, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _matched(points: NDArray[Any], others: NDArray[Any], tolerance: float) -> float:
    """The share of `points` (n, d) within `tolerance` of one of `others` (m, d)."""
    if not len(points) or not len(others):
        return float(not len(points))
    return float((nearest_distances(points, others, within=tolerance) <= tolerance).mean())
