"""How well the outlines of classes are met: boundary IoU and boundary F1.

Boundary IoU is that of Cheng et al. 2021 (arXiv 2103.16562), summed over the data set as IoU is; with no void it equals their code.
Boundary F1 is that of Csurka et al. 2013 (BMVC, section 2.3): per image and class, then averaged over images. Deviations: the edge
of the image is no outline in boundary F1 (as in DAVIS), or every class that touches it would be right there for nothing; a class
that only truth or prediction holds has F1 0. Void is unknown: an outline that runs along it is known of neither truth nor
prediction, so a void pixel is never boundary and makes none, whatever is predicted there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.errors import OptionError
from intarsia.metrics._counted import Counted, label_maps, mean_defined, ratio
from intarsia.metrics._scores import Scores
from intarsia.ops.boundaries import band, boundary_points, edges, nearest_distances
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
            if not 0 < value < 1:
                raise OptionError(f"boundary {name}", expected="a share of the diagonal within 0..1", received=value)
        super().__init__(classes, (len(classes), 5), np.float64, keys, counts, {"width": width, "tolerance": tolerance})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        nothing = len(self.classes)
        diagonal = float(np.linalg.norm(truth.size))
        width = max(1, round(self.options["width"] * diagonal))
        count = np.zeros((len(self.classes), 5))
        for members, wanted, given, known in label_maps(truth, prediction, self.classes, key):
            here, there = (np.where(band(labels, width, known), labels, nothing) for labels in (wanted, given))
            joint = joint_histogram(here, there, nothing + 3, nothing + 3)  # classes, nothing (also where no band is), void, none
            count[members, 0] = np.diagonal(joint)[members]
            count[members, 1], count[members, 2] = joint.sum(axis=1)[members], joint.sum(axis=0)[members]
            outlines = (boundary_points(labels, edges(labels, known, frame=False), nothing) for labels in (wanted, given))
            for index, (of_truth, of_guess) in enumerate(zip(*outlines, strict=True)):
                if len(of_truth) or len(of_guess):
                    count[index, 3:] = _f1(of_truth, of_guess, self.options["tolerance"] * diagonal), 1
        self._add(key, count)

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        images, _, values, ends = self.computed(intervals, seed)
        about = (
            f"boundary: band {self.options['width']:g}, tolerance {self.options['tolerance']:g} of the diagonal; values are 0..1"
        )
        return Scores(about, self.classes.names, images, values, ends, self.options)

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


def _f1(truth: NDArray[Any], guess: NDArray[Any], tolerance: float) -> float:
    """F1 of two sets of points (n, d), not both empty, matched within `tolerance` pixels."""
    if not len(truth) or not len(guess):
        return 0.0
    precision = float((nearest_distances(guess, truth, within=tolerance) <= tolerance).mean())
    recall = float((nearest_distances(truth, guess, within=tolerance) <= tolerance).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
