"""Semantic scores from one confusion matrix over the whole data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.errors import IntarsiaError, InvalidNoun
from intarsia.metrics._semantic_scores import PER_CLASS, RATIOS, SCALARS, SemanticScores
from intarsia.ops.bootstrap import bootstrap_intervals
from intarsia.ops.runs import joint_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Semantic", "SemanticScores"]

ROWS = 256
"""Segments up to which a map of their ids is counted as it is and folded to classes in the table."""


class Semantic:
    """The confusion matrix of each image, and scores from their sum over the data set.

    Pixels are pooled (micro), never averaged by image or batch, so neither batch size nor tiling moves a score. With truth t,
    prediction p and n over all pixels where t is not void, for each class k:

        TP = n(t = k, p = k)        FN = n(t = k) - TP          FP = n(p = k) - TP
        IoU = TP / (TP + FP + FN)   Dice = 2 TP / (2 TP + FP + FN)
        precision = TP / (TP + FP)  recall = TP / (TP + FN)     each nan where it would divide by 0

    Means are over the classes whose value is defined: a class that is nowhere in the truth yet is predicted has IoU and Dice 0, one
    that is in neither is absent. pixel_accuracy is the share of right pixels, mean_pixel_accuracy the mean recall,
    frequency_weighted_iou the mean IoU weighted by n(t = k) (Long et al. 2015, arXiv 1411.4038, section 5).

    Void in the truth never counts. Void predicted where the truth is a class is a wrong answer: a miss of that class, and a false
    alarm of none. Nothing is an answer, not a class, and is in no mean; but nothing for a class is a miss of that class, a class
    for nothing a false alarm of it, and nothing for nothing a right pixel, in pixel_accuracy alone.

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
    """What (truth, truth) scores, by name in `to_dict`."""

    def __init__(self, classes: ClassSet, *, keys: Iterable[str] = (), counts: NDArray[np.int64] | None = None) -> None:
        """Empty, or from another's `keys` and `counts`, as gathered from the processes of a run."""
        self.classes = classes
        self._keys = list(keys)
        shape = (len(self._keys), len(classes) + 1, len(classes) + 2)
        given = np.zeros(shape, np.int64) if counts is None else np.asarray(counts, np.int64)
        if given.shape != shape:
            raise InvalidNoun("Semantic counts", expected=f"shape {shape}", received=given.shape)
        self._counts = list(given)

    @property
    def keys(self) -> list[str]:
        """The key of each update."""
        return list(self._keys)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(updates, C+1, C+2) pixels: rows are the truth (classes, nothing), columns the prediction (classes, nothing, void)."""
        return np.array(self._counts, np.int64).reshape(-1, len(self.classes) + 1, len(self.classes) + 2)

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image or tile; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        if truth.size != prediction.size:
            raise InvalidNoun(f"prediction {key!r}", expected=f"the truth's size {truth.size}", received=prediction.size)
        (rows, table), (columns, other) = (self._rows(name, s) for name, s in (("truth", truth), ("prediction", prediction)))
        joint = joint_histogram(rows, columns, len(table), len(other))
        count = np.zeros((len(self.classes) + 2, len(self.classes) + 2), np.int64)
        np.add.at(count, np.ix_(table, other), joint)  # rows -> classes, on both sides
        self._keys.append(key)
        self._counts.append(count[:-1])  # without the truth's void

    def merge(self, other: Semantic) -> None:
        """Add what another shard has counted; the result is that of one metric over both."""
        if other.classes != self.classes:
            raise InvalidNoun("merge", expected=f"the classes {list(self.classes.names)}", received=list(other.classes.names))
        self._keys += other._keys
        self._counts += other._counts

    def compute(self, intervals: int = 1000, seed: int = 0) -> SemanticScores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        counts = self._per_image()
        if not len(counts):
            raise IntarsiaError("Semantic", expected="at least one update before compute", received="none")
        total = counts.sum(axis=0)
        scores = {name: values[0] for name, values in _scores(_marginals(total[None])).items()}
        ends: dict[str, NDArray[np.float64]] = {}
        if intervals and len(counts) > 1:
            wanted = (*SCALARS, *RATIOS)
            flat = bootstrap_intervals(
                _marginals(counts),
                lambda sums: np.column_stack([_scores(sums)[name] for name in wanted]),
                rounds=intervals,
                seed=seed,
            )
            of_classes = flat[len(SCALARS) :].reshape(len(RATIOS), len(self.classes), 2)
            ends = dict(zip(wanted, (*flat[: len(SCALARS)], *of_classes), strict=True))
        values: dict[str, Any] = {name: float(scores[name]) for name in SCALARS} | {name: scores[name] for name in PER_CLASS}
        return SemanticScores(names=self.classes.names, images=len(counts), **values, confusion=total, intervals=ends)

    def _rows(self, name: str, segments: Segments) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """(*S) ids and the class of each: nothing first, void last; of rows where they make a short table, else of classes."""
        nothing, void = len(self.classes), len(self.classes) + 1
        segments.check_classes(nothing, name)
        if len(segments.ids) == 1 and len(segments) <= ROWS:
            return segments.ids[0], np.concatenate([[nothing], segments.classes, [void]])
        return segments.semantic(nothing), np.arange(void + 1)

    def _per_image(self) -> NDArray[np.int64]:
        """(I, C+1, C+2) updates of one key added up, in an order that does not depend on how they came."""
        images: dict[str, NDArray[np.int64]] = {}
        for number, (key, count) in enumerate(zip(self._keys, self._counts, strict=True)):
            name = f"key {key}" if key else f"number {number}"
            images[name] = images.get(name, 0) + count
        ordered = sorted(images.values(), key=lambda count: count.tobytes())
        return np.array(ordered, np.int64).reshape(-1, len(self.classes) + 1, len(self.classes) + 2)


def _marginals(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(I, 3C+2) of (I, C+1, C+2): TP, truth and predicted pixels of each class, then all right pixels and all pixels."""
    right = np.diagonal(counts, axis1=1, axis2=2)  # (I, C+1)
    truth, predicted = counts.sum(axis=2), counts.sum(axis=1)  # (I, C+1), (I, C+2)
    overall = np.stack([right.sum(axis=1), truth.sum(axis=1)], axis=1)  # (I, 2)
    return np.concatenate([right[:, :-1], truth[:, :-1], predicted[:, :-2], overall], axis=1)


def _scores(sums: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Every score, (R,) or (R, C), of R rows of `_marginals`."""
    right, truth, predicted = np.split(sums[:, :-2], 3, axis=1)  # (R, C) each
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is nan: not defined
        iou, dice = right / (truth + predicted - right), 2 * right / (truth + predicted)
        precision, recall = right / predicted, right / truth
        return {
            "pixel_accuracy": sums[:, -2] / sums[:, -1],
            "mean_pixel_accuracy": _mean(recall),
            "mean_iou": _mean(iou),
            "frequency_weighted_iou": np.nansum(truth * iou, axis=1) / truth.sum(axis=1),
            "mean_dice": _mean(dice),
            "share": truth / sums[:, -1:],
            "iou": iou,
            "dice": dice,
            "precision": precision,
            "recall": recall,
        }


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) the mean of the defined values of (R, C)."""
    mean: NDArray[np.float64] = np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)
    return mean
