"""Semantic scores from one confusion matrix over the whole data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.metrics._counted import Counted, check_pair, mean_defined, ratio
from intarsia.metrics._semantic_scores import RATIOS, SCALARS, SemanticScores
from intarsia.ops.runs import joint_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Semantic", "SemanticScores"]

ROWS = 256
"""Segments up to which a map of their ids is counted as it is and folded to classes in the table."""


class Semantic(Counted):
    """The confusion matrix of each image, and scores from their sum over the data set.

    Pixels are pooled over the data set, so neither batch size nor tiling moves a score. With truth t, prediction p and n over all
    pixels where t is not void, for each class k:

        TP = n(t = k, p = k)        FN = n(t = k) - TP          FP = n(p = k) - TP
        IoU = TP / (TP + FP + FN)   Dice = 2 TP / (2 TP + FP + FN)
        precision = TP / (TP + FP)  recall = TP / (TP + FN)     each nan where it would divide by 0

    mean_iou, mean_dice and mean_pixel_accuracy (of the recall) are macro: means over the classes whose value is defined. A class
    that is nowhere in the truth yet is predicted has IoU and Dice 0, one that is in neither is absent. micro_iou and micro_dice add
    up TP, FP and FN over classes first. image_mean_iou and image_mean_dice are means over images of the macro mean of each image
    alone, over the classes in it. pixel_accuracy is the share of right pixels, frequency_weighted_iou the mean IoU weighted by
    n(t = k) (Long et al. 2015, arXiv 1411.4038, section 5).

    Void in the truth never counts. Void predicted where the truth is a class is a wrong answer: a miss of that class, and a false
    alarm of none. Nothing is an answer, not a class, and is in no mean; but nothing for a class is a miss of that class, a class
    for nothing a false alarm of it, and nothing for nothing a right pixel, in pixel_accuracy alone.

    Where the classes form several groups, each pixel is asked once for each group, and may carry a class of each: a class's mask is
    that of all its rows over all layers, so nested regions are each scored whole. The matrix is the sum of those of the groups.

    An image is named by its key: several updates with one key, such as tiles, are one image when intervals are drawn; without a key
    each is its own.

    >>> from intarsia.core import ClassSet, Segments
    >>> metric = Semantic(ClassSet(("sky", "road")))
    >>> metric.update(Segments([[[1, 1, 2, -1]]], [0, 1]), Segments([[[1, 2, 2, 2]]], [0, 1]), key="0001")
    >>> scores = metric.compute(intervals=0)
    >>> scores.iou.tolist(), scores.mean_iou, round(scores.pixel_accuracy, 3)
    ([0.5, 0.5], 0.5, 0.667)
    """

    perfect: ClassVar[dict[str, float]] = dict.fromkeys(SCALARS, 1.0)
    headline: ClassVar[str] = "mean_iou"
    told: ClassVar[tuple[str, ...]] = ("pixel_accuracy", "mean_iou", "mean_dice")
    by_class: ClassVar[tuple[str, ...]] = (*RATIOS, "share")

    def __init__(self, classes: ClassSet, *, keys: Iterable[str] = (), counts: NDArray[np.int64] | None = None) -> None:
        """Empty, or from another's `keys` and `counts` (updates, C+1, C+2), as gathered from the processes of a run: pixels, rows
        are the truth (classes, nothing), columns the prediction (classes, nothing, void).
        """
        super().__init__(classes, (len(classes) + 1, len(classes) + 2), np.int64, keys, counts, {})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image or tile; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        check_pair(truth, prediction, self.classes, key)
        count = np.zeros((len(self.classes) + 2, len(self.classes) + 2), np.int64)
        for group in self.classes.groups:
            (rows, table), (columns, other) = (self._rows(segments, group) for segments in (truth, prediction))
            joint = joint_histogram(rows, columns, len(table), len(other))
            np.add.at(count, np.ix_(table, other), joint)  # rows -> classes, on both sides
        self._add(key, count[:-1])  # without the truth's void

    def compute(self, intervals: int = 1000, seed: int = 0) -> SemanticScores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        counts, values, ends = self.computed(intervals, seed)
        ends.pop("share", None)
        total = np.sum(counts, axis=0)
        return SemanticScores(names=self.classes.names, images=len(counts), **values, confusion=total, intervals=ends)

    def truth(self, count: NDArray[np.int64]) -> NDArray[np.int64]:
        """(C+1,) the pixels of each class, and of nothing, in the truth of an image's counts."""
        return np.asarray(count.sum(axis=1))

    def best(self, name: str) -> float | None:
        """1 for every score but the share, which says nothing of the prediction."""
        return None if name == "share" else 1.0

    def _ordered(self, counts: Any, order: NDArray[np.int64]) -> Any:
        """Rows and columns of (I, C+1, C+2); nothing and void stay last."""
        count = len(order)
        return counts[:, [*order, count]][:, :, [*order, count, count + 1]]

    def sums(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """(I, 3C+6): TP, truth and predicted pixels of each class; right pixels, all pixels; the image's mean IoU and whether it is
        defined; its mean Dice and whether it is.
        """
        right = np.diagonal(counts, axis1=1, axis2=2)  # (I, C+1)
        truth, predicted = counts.sum(axis=2), counts.sum(axis=1)  # (I, C+1), (I, C+2)
        hits, wanted, given = right[:, :-1], truth[:, :-1], predicted[:, :-2]  # (I, C)
        iou = mean_defined(ratio(hits, wanted + given - hits))  # (I,)
        dice = mean_defined(ratio(2 * hits, wanted + given))  # (I,)
        overall = [right.sum(axis=1), truth.sum(axis=1), np.nan_to_num(iou), ~np.isnan(iou), np.nan_to_num(dice), ~np.isnan(dice)]
        return np.concatenate([hits, wanted, given, np.stack(overall, axis=1)], axis=1, dtype=np.float64)

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,) or (R, C), of R rows of `sums`."""
        right, truth, predicted = np.split(sums[:, :-6], 3, axis=1)  # (R, C) each
        all_right, pixels, image_iou, with_iou, image_dice, with_dice = sums[:, -6:].T  # (R,) each
        iou, dice = ratio(right, truth + predicted - right), ratio(2 * right, truth + predicted)
        recall = ratio(right, truth)
        hits, both = right.sum(axis=1), (truth + predicted).sum(axis=1)
        values = {
            "pixel_accuracy": ratio(all_right, pixels),
            "mean_pixel_accuracy": mean_defined(recall),
            "mean_iou": mean_defined(iou),
            "frequency_weighted_iou": ratio(np.nansum(truth * iou, axis=1), truth.sum(axis=1)),
            "mean_dice": mean_defined(dice),
            "micro_iou": ratio(hits, both - hits),
            "micro_dice": ratio(2 * hits, both),
            "image_mean_iou": ratio(image_iou, with_iou),
            "image_mean_dice": ratio(image_dice, with_dice),
            "iou": iou,
            "dice": dice,
            "precision": ratio(right, predicted),
            "recall": recall,
            "share": ratio(truth, pixels[:, None] / len(self.classes.groups)),
        }
        return {name: values[name] for name in (*SCALARS, *RATIOS, "share")}

    def _rows(self, segments: Segments, group: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(*S) ids and the class of each, of the group: nothing first, void last; of rows where they make a short table, else of
        classes.
        """
        nothing, void = len(self.classes), len(self.classes) + 1
        if len(self.classes.groups) > 1:
            segments = segments.select(np.isin(segments.classes, [self.classes.index_of[name] for name in group]))
        if len(segments.ids) == 1 and len(segments) <= ROWS:
            return segments.ids[0], np.concatenate([[nothing], segments.classes, [void]])
        return segments.semantic(nothing), np.arange(void + 1)
