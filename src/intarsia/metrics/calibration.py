"""Whether a network is as often right as it says: calibration of the confidence of its answers.

Top-label calibration error of Guo et al. 2017 (arXiv 1706.04599, equations 3 and 5) over pixels, equal bins: torchmetrics'
CalibrationError with norm "l1" and "max". An answer without confidence is taken as certain: it claims what it says without reserve.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.metrics._counted import Counted, check_number, label_maps, ratio
from intarsia.metrics._scores import Scores
from intarsia.metrics._semantic_scores import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Calibration", "CalibrationScores"]

ONE = int(np.float16(1).view(np.uint16))
"""The bits of 1.0: those of the confidences 0..1 are 0..ONE, in order, so that a histogram of bits is exact."""


@dataclass(frozen=True, eq=False)
class CalibrationScores(Scores):
    """The scores, and what the reliability diagram is drawn from."""

    bins: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    """(K, 3) of each bin of confidence: pixels, share of them that are right, mean confidence (nan without pixels)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where a score is not defined."""
        rows = ({"pixels": int(n), "accuracy": plain(right), "confidence": plain(sure)} for n, right, sure in self.bins)
        return {**super().to_dict(), "bins": list(rows)}


class Calibration(Counted):
    """Expected and largest calibration error, overconfidence and the Brier score of the answer given, pixels pooled over images.

    With the pixels where the truth is not void sorted by confidence c into `bins` equal bins, a_b the share of right answers in bin
    b, c_b the mean confidence and w_b the share of pixels in it, and r = 1 for a right answer, else 0:

        expected_calibration_error = sum of w_b |a_b - c_b|        maximum_calibration_error = max of |a_b - c_b|
        overconfidence = mean c - mean r                           top_label_brier = mean of (c - r)^2

    Overconfidence is below 0 where the network is more often right than it says. Where the classes form several groups an answer is
    right if it is for every group. A maximum over bins rests on its emptiest bin: read it beside the diagram.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = Segments([[[1, 1, 2, 2]]], [0, 1]), Segments([[[1, 1, 1, 2]]], [0, 1], confidence=[[0.75] * 4])
    >>> metric = Calibration(ClassSet(("sky", "road")))
    >>> metric.update(truth, guess)
    >>> scores = metric.compute()
    >>> scores["expected_calibration_error"], scores["top_label_brier"]  # right as often as it says
    (0.0, 0.1875)
    """

    perfect: ClassVar[dict[str, float]] = {
        "expected_calibration_error": 0.0,
        "maximum_calibration_error": 0.0,
        "top_label_brier": 0.0,
    }
    headline: ClassVar[str] = "expected_calibration_error"
    confident: ClassVar[bool] = True

    def __init__(
        self, classes: ClassSet, *, bins: int = 15, keys: Iterable[str] = (), counts: NDArray[np.float64] | None = None
    ) -> None:
        """Empty, or from another's `keys` and `counts` (updates, bins, 4): pixels, right ones, confidence, squared error."""
        check_number("calibration bins", bins, lambda number: 1 <= number < np.inf and number % 1 == 0, "a whole number from 1 on")
        bins = int(bins)
        super().__init__(classes, (bins, 4), np.float64, keys, counts, {"bins": bins})
        self._values = np.arange(ONE + 1, dtype=np.uint16).view(np.float16).astype(np.float64)  # every confidence there is
        self._starts = np.searchsorted(np.minimum(self._values * bins, bins - 1).astype(np.int64), np.arange(bins))

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image or tile. Raises InvalidNoun for other sizes or classes, and for a confidence outside 0..1."""
        right, known = np.ones(truth.size, np.bool_), ~truth.void
        for _, wanted, given, _ in label_maps(truth, prediction, self.classes, key):
            right &= wanted == given
        if prediction.confidence is None:
            bits = np.full(truth.size, ONE, np.int64)
        else:
            bits = np.ascontiguousarray(prediction.confidence).view(np.uint16).astype(np.int64)
            if bits.max(initial=0) > ONE:
                raise InvalidNoun(f"prediction {key!r} confidence", expected="values 0..1", received="others")
        bits += right * (ONE + 1)
        wrong, hits = np.bincount(bits[known], minlength=2 * (ONE + 1)).reshape(2, ONE + 1)  # pixels of each confidence
        sure = self._values
        columns = (wrong + hits, hits, (wrong + hits) * sure, wrong * sure**2 + hits * (1 - sure) ** 2)
        self._add(key, np.stack([np.add.reduceat(column, self._starts) for column in columns], axis=1))  # (ONE + 1,) -> (bins, 4)

    def compute(self, intervals: int = 1000, seed: int = 0) -> CalibrationScores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        counts, values, ends = self.computed(intervals, seed)
        total = np.sum(counts, axis=0)  # (bins, 4)
        about = f"calibration: {self.options['bins']} bins of confidence; values are 0..1, best 0"
        rows = np.stack([total[:, 0], ratio(total[:, 1], total[:, 0]), ratio(total[:, 2], total[:, 0])], axis=1)
        return CalibrationScores(about, self.classes.names, len(counts), values, ends, self.options, bins=rows)

    def _ordered(self, counts: Any, order: NDArray[np.int64]) -> Any:
        """Of no class."""
        return counts

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,), of R rows of sums over images."""
        pixels, right, sure, squared = np.moveaxis(sums.reshape(len(sums), -1, 4), 2, 0)  # (R, bins) each
        total = pixels.sum(axis=1)
        gaps = np.abs(ratio(right, pixels) - ratio(sure, pixels))
        largest = np.where(total > 0, np.nan_to_num(gaps).max(axis=1), np.nan)
        return {
            "expected_calibration_error": ratio(np.abs(right - sure).sum(axis=1), total),
            "maximum_calibration_error": largest,
            "overconfidence": ratio((sure - right).sum(axis=1), total),
            "top_label_brier": ratio(squared.sum(axis=1), total),
        }
