"""How many objects there are: errors of the count of each class in each image."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.metrics._counted import Counted, check_number, check_pair, counted_classes, ratio
from intarsia.metrics._scores import Scores
from intarsia.ops.runs import joint_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Counting"]

SCORES = ("mae", "relative_error", "r2", "true_count", "predicted_count")


class Counting(Counted):
    """Mean absolute error, relative error and R2 of the number of objects, per class and over all pairs of image and class.

    With t the true and p the predicted number of objects of a class in an image, over n images:

        mae = mean |p - t|        relative_error = sum |p - t| / sum t        r2 = 1 - sum (p - t)^2 / sum (t - mean t)^2

    and true_count, predicted_count the means of t and p. R2 is 0 for the answer that always says the mean count, and below it where
    that would be better; it is nan where the counts do not differ, relative error where there is nothing to count.

    Counted are the things, or all classes where none is a thing, of which there is an object in truth or prediction of any image;
    the scores of the others are nan. The overall numbers, without `class_`, take each pair of an image
    and a counted class for one observation, as if all were of one class: the mae is so the mean of those of the classes (where no
    crowd hides a count), while R2 also rewards knowing that one class is more frequent than another.

    An object of the prediction counts where its score is at least `threshold`. No row counts that is crowd, has no pixels, or lies,
    in the prediction, for more than half in void. An image with a crowd of a class has no known count of it and is left out there.

    Updates of one key are one image and their counts are added up, so tiles should not cut objects.

    >>> from intarsia.core import ClassSet, Segments
    >>> metric = Counting(ClassSet(("nucleus",), things=("nucleus",)))
    >>> metric.update(Segments([[[1, 0, 2, 0, 3, 3]]], [0, 0, 0]), Segments([[[1, 1, 1, 0, 2, 3]]], [0] * 3, scores=[1, 0.9, 0.3]))
    >>> metric.update(Segments([[[1, 0, 0]]], [0]), Segments([[[1, 0, 0]]], [0]))
    >>> scores = metric.compute()
    >>> scores["mae"], scores["relative_error"], scores["r2"]  # 2 for 3, 1 for 1
    (0.5, 0.25, 0.5)
    """

    perfect: ClassVar[dict[str, float]] = {"mae": 0.0, "relative_error": 0.0, "r2": 1.0}
    headline: ClassVar[str] = "mae"
    told: ClassVar[tuple[str, ...]] = ("mae", "relative_error", "r2")
    by_class: ClassVar[tuple[str, ...]] = tuple(f"class_{name}" for name in SCORES)

    def __init__(
        self, classes: ClassSet, *, threshold: float = 0.5, keys: Iterable[str] = (), counts: NDArray[np.int64] | None = None
    ) -> None:
        """Empty, or from another's `keys` and `counts` (updates, C, 3): objects of the truth, of the prediction, crowds."""
        check_number("counting threshold", threshold, lambda score: 0 <= score <= 1, "a score within 0..1")
        super().__init__(classes, (len(classes), 3), np.int64, keys, counts, {"threshold": float(threshold)})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        check_pair(truth, prediction, self.classes, key)
        (pixels, _), (given, hidden) = (_areas(segments, truth.void) for segments in (truth, prediction))
        objects = ~truth.crowd & (pixels > 0)
        found = ~prediction.crowd & (prediction.scores >= self.options["threshold"]) & (given > 0) & (2 * hidden <= given)
        rows = truth.classes[objects], prediction.classes[found], truth.classes[truth.crowd & (pixels > 0)]
        self._add(key, np.stack([np.bincount(classes, minlength=len(self.classes)) for classes in rows], axis=1))  # (C, 3)

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        counts, values, ends = self.computed(intervals, seed)
        about = f"counting: objects per image, of score {self.options['threshold']:g} on"
        wanted, given, _ = np.sum(counts, axis=0).T  # (C,) each
        never = (wanted > 0) & (given == 0) & counted_classes(self.classes)
        missed = tuple(compress(self.classes.names, never))
        return Scores(about, self.classes.names, len(counts), values, ends, self.options, missed=missed)

    def truth(self, count: NDArray[np.int64]) -> NDArray[np.int64]:
        """(C, 2) the objects and the crowds of each class in the truth of an image."""
        return count[:, ::2]

    def sums(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """(I, 6C) of each class whether its count is known, and then |p - t|, (p - t)^2, t, t^2 and p."""
        true, found, crowds = np.moveaxis(counts.astype(np.float64), 2, 0)  # (I, C) each
        known = counted_classes(self.classes) & (crowds == 0)
        error = found - true
        columns = np.stack([np.ones_like(true), np.abs(error), error**2, true, true**2, found], axis=1)  # (I, 6, C)
        return np.asarray((columns * known[:, None]).reshape(len(counts), -1))

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,) or (R, C), of R rows of `sums`."""
        columns = sums.reshape(len(sums), 6, -1)  # (R, 6, C)
        columns = columns * (columns[:, 3:4] + columns[:, 5:6] > 0)  # of classes that are there, or are told
        by_class = {f"class_{name}": values for name, values in _scores(columns).items()}
        return _scores(columns.sum(axis=2)) | by_class


def _scores(columns: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """(R,) or (R, C) each, of (R, 6) or (R, 6, C) sums."""
    known, error, squared, true, true_squared, found = np.moveaxis(columns, 1, 0)
    spread = true_squared - ratio(true**2, known)
    values = (ratio(error, known), ratio(error, true), 1 - ratio(squared, spread), ratio(true, known), ratio(found, known))
    result = dict(zip(SCORES, values, strict=True))
    return result | {
        "r2": np.where(spread > 0, result["r2"], np.nan),
        "relative_error": np.where(true > 0, result["relative_error"], np.nan),
    }


def _areas(segments: Segments, void: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) the pixels of each row, and those of them in `void`; a pixel belongs to every row that has it in a layer."""
    rows = len(segments) + 2
    joint = sum(joint_histogram(void.view(np.uint8), layer, 2, rows) for layer in segments.ids)
    known, hidden = np.asarray(joint)[:, 1:-1]
    return known + hidden, hidden
