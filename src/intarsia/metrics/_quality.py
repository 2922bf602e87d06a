"""What panoptic quality and boundary panoptic quality share: from the IoUs of segments to counts of each class, and to scores."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.metrics._counted import Counted, mean_defined, ratio
from intarsia.metrics._scores import Scores
from intarsia.ops.segment_matching import half_unknown, matched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.ops.segment_matching import Rows

__all__ = ["Quality", "names"]

RATIOS = ("pq", "sq", "rq")
COLUMNS = 5
"""Of each class: the sum of the IoUs of its pairs, pairs, false alarms, misses, and the pixels of the truth."""


def names(prefix: str = "") -> tuple[str, ...]:
    """The scores of all classes, of things and of stuff.

    >>> names("boundary_")[2:5]
    ('boundary_rq', 'boundary_pq_things', 'boundary_sq_things')
    """
    return tuple(f"{prefix}{ratio}{part}" for part in ("", "_things", "_stuff") for ratio in RATIOS)


class Quality(Counted):
    """PQ, SQ and RQ from pairs, false alarms and misses, which a metric counts with the IoU that is its own."""

    prefix: ClassVar[str] = ""
    """Of the names of the scores."""

    def __init__(
        self, classes: ClassSet, keys: Iterable[str], counts: NDArray[np.float64] | None, options: Mapping[str, Any]
    ) -> None:
        super().__init__(classes, (len(classes), COLUMNS), np.float64, keys, counts, options)

    def _count(
        self, ious: NDArray[np.float64], joint: NDArray[np.int64], truth: Segments | Rows, prediction: Segments | Rows
    ) -> NDArray[np.float64]:
        """(C, 5) the counts of one image, from the IoUs (N, N) of its rows and their `overlaps`."""
        pixels, given = joint[1:-1].sum(axis=1), joint[:, 1:-1].sum(axis=0)  # (N,) each
        rows, partners = matched(ious, truth, prediction)
        missed = (pixels > 0) & ~truth.crowd
        missed[rows] = False
        alarms = (given > 0) & ~half_unknown(joint, truth, prediction)
        alarms[partners] = False
        classes, weights = (
            (truth.classes[rows], truth.classes[rows], prediction.classes[alarms], truth.classes[missed], truth.classes),
            (ious[rows, partners], None, None, None, pixels),
        )
        number = len(self.classes)
        return np.stack([np.bincount(of, weight, number) for of, weight in zip(classes, weights, strict=True)], axis=1)  # (C, 5)

    def truth(self, count: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2, C) the segments of each class in the truth of an image, and their pixels."""
        return np.stack([count[:, 1] + count[:, 3], count[:, 4]])

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,) or (R, C), of R rows of sums over images."""
        iou, pairs, alarms, missed, _ = np.moveaxis(sums.reshape(len(sums), -1, COLUMNS), 2, 0)  # (R, C) each
        whole = pairs + (alarms + missed) / 2
        fit = np.where(pairs > 0, ratio(iou, pairs), np.where(whole > 0, 0.0, np.nan))
        by_class = dict(zip(RATIOS, (ratio(iou, whole), fit, ratio(pairs, whole)), strict=True))
        things = self.classes.is_thing
        parts = {"": np.ones_like(things), "_things": things, "_stuff": ~things}
        values = {
            f"{self.prefix}{name}{part}": mean_defined(by_class[name][:, members])
            for part, members in parts.items()
            for name in RATIOS
        }
        return values | {f"class_{self.prefix}{name}": of_class for name, of_class in by_class.items()}

    def _computed(self, about: str, intervals: int, seed: int) -> Scores:
        """The scores, with the pairs, false alarms and misses of each class."""
        counts, values, ends = self.computed(intervals, seed)
        total = np.sum(counts, axis=0)  # (C, 5)
        seen = dict(zip(("matched", "false_alarms", "missed"), total[:, 1:4].T.astype(np.int64), strict=True))
        never = (seen["missed"] > 0) & (seen["matched"] + seen["false_alarms"] == 0)
        missed = tuple(compress(self.classes.names, never))
        return Scores(about, self.classes.names, len(counts), values | seen, ends, self.options, missed=missed)
