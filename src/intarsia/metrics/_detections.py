"""What mask AP, box AP and boundary AP share: objects and detections of an image as rows, and COCO's scores of the rows of many."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.metrics._counted import Counted, check_number, counted_classes, mean_defined, ratio
from intarsia.metrics._scores import Scores
from intarsia.ops.average_precision import average_precision, weighted_totals
from intarsia.ops.greedy_matching import EVERYWHERE, THRESHOLDS, greedy_matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.ops.object_overlaps import Overlaps

__all__ = ["Detections", "Pairs", "names"]

AREAS = {"": (0, 1e5**2), "_small": (0, 32**2), "_medium": (32**2, 96**2), "_large": (96**2, 1e5**2)}
"""COCO's ranges of area, in pixels, both ends inclusive."""
SCORES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
          "ar_1", "ar_10", "ar", "ar_small", "ar_medium", "ar_large")  # fmt: skip
"""COCO's twelve, in its order."""
BITS: NDArray[np.int64] = np.array([number.bit_count() for number in range(EVERYWHERE + 1)])
"""How many thresholds each number stands for."""


def names(kind: str) -> tuple[str, ...]:
    """The scores of the whole that a perfect answer has all of.

    >>> names("mask")
    ('mask_ap', 'mask_ap50', 'mask_ap75', 'mask_ar')
    """
    return tuple(f"{kind}_{score}" for score in ("ap", "ap50", "ap75", "ar"))


class Pairs:
    """Which objects of the truth, and which detections, the surest of a class first, are scored in one image."""

    def __init__(self, truth: Segments, prediction: Segments, pixels: Overlaps, things: NDArray[np.bool_], most: int) -> None:
        """`things` (C,) are the classes that are scored, and `most` the detections of each class."""
        seen = pixels.truth > 0
        if not seen.all() and not truth.void.any():  # an object without pixels is a miss, unless it may lie in void
            seen[:] = True
        self.objects = np.flatnonzero(things[truth.classes] & seen)
        hidden = (pixels.prediction == 0) & (pixels.void > 0)
        detections = np.flatnonzero(things[prediction.classes] & ~hidden)
        order = np.lexsort((-prediction.scores[detections], prediction.classes[detections]))  # stable
        detections = detections[order]
        classes = prediction.classes[detections]
        rank = np.arange(len(classes)) - np.searchsorted(classes, classes)
        self.detections, self.rank = detections[rank < most], rank[rank < most]
        self.same = prediction.classes[self.detections][:, None] == truth.classes[self.objects]  # (M, N)
        self.crowd = truth.crowd[self.objects]

    def overlap(self, shared: NDArray[Any], of_truth: NDArray[Any], of_prediction: NDArray[Any]) -> NDArray[np.float64]:
        """(M, N) IoU, with crowd the share of the detection's own, 0 for other classes; from what all rows share, and their own."""
        own, other = of_prediction[self.detections][:, None], of_truth[self.objects]
        both = shared[np.ix_(self.objects, self.detections)].T
        whole = np.where(self.crowd, own, own + other - both)
        return np.where(self.same & (both > 0), ratio(both, whole), 0.0)


class Detections(Counted):
    """AP and AR from rows, of objects and of detections, which say at which thresholds each is matched or left out."""

    kinds: ClassVar[tuple[str, ...]]
    """What is compared, such as masks; the names of the scores begin with it."""
    ragged: ClassVar[bool] = True

    def __init__(
        self, classes: ClassSet, keys: Iterable[str], counts: Iterable[NDArray[Any]] | None, options: Mapping[str, Any]
    ) -> None:
        most = options["max_detections"]
        check_number("max_detections", most, lambda number: 1 <= number < 2**31 and number % 1 == 0, "a whole number from 1 on")
        bits = (np.uint16, (len(self.kinds), len(AREAS)))
        fields = [("class", np.int32), ("score", np.float32), ("rank", np.int32), ("truth", np.bool_), ("area", np.float32)]
        row = np.dtype([*fields, ("matched", *bits), ("ignored", *bits)])
        super().__init__(classes, (), row, keys, counts, {**options, "max_detections": int(most)})
        self._things = counted_classes(classes)

    def _rows(
        self,
        truth: Segments,
        prediction: Segments,
        pairs: Pairs,
        overlaps: Sequence[NDArray[np.float64]],
        extents: Sequence[NDArray[Any]],
    ) -> NDArray[Any]:
        """The rows of an image, from the overlaps (M, N) of each kind, and the extents of all rows of the prediction."""
        objects, detections = np.zeros(len(pairs.objects), self._dtype), np.zeros(len(pairs.detections), self._dtype)
        areas = truth.areas[pairs.objects]
        objects["truth"], objects["area"], objects["class"] = True, areas, truth.classes[pairs.objects]
        outside = pairs.crowd | ~_within(areas)  # (K, N) for K ranges of area
        objects["ignored"] = outside.T[:, None] * np.uint16(EVERYWHERE)  # (K, N) -> (N, kinds, K)
        detections["class"] = prediction.classes[pairs.detections]
        detections["score"], detections["rank"] = prediction.scores[pairs.detections], pairs.rank
        detections["area"] = extents[0][pairs.detections]
        for kind, (overlap, extent) in enumerate(zip(overlaps, extents, strict=True)):
            matched, dropped = greedy_matches(overlap, outside, pairs.crowd)  # (K, M) each
            alone = np.where(_within(extent[pairs.detections]), 0, EVERYWHERE & ~matched)
            detections["matched"][:, kind] = matched.T
            detections["ignored"][:, kind] = (dropped | alone).T
        return np.concatenate([objects, detections])

    def truth(self, count: NDArray[Any]) -> NDArray[np.float64]:
        """(N, 2) class and area of the objects of an image, sorted."""
        objects = count[count["truth"]]
        return np.array(sorted(zip(objects["class"].tolist(), objects["area"].tolist(), strict=True))).reshape(-1, 2)

    def best(self, name: str) -> float | None:
        """1 for every score."""
        return 1.0

    def _ordered(self, counts: list[NDArray[Any]], order: NDArray[np.int64]) -> list[NDArray[Any]]:
        """The same rows, their classes under the new indices."""
        place = np.argsort(order).astype(np.int32)
        moved = [count.copy() for count in counts]
        for count in moved:
            count["class"] = place[count["class"]]
        return moved

    def weighted(self, counts: Sequence[NDArray[Any]], weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,) or (R, C), of R draws of the images, of these rows; ties of scores go to the earlier image."""
        rows = np.concatenate(counts)
        image = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
        objects = rows["truth"]
        order = np.flatnonzero(~objects)
        order = order[np.lexsort((-rows["score"][order], rows["class"][order]))]  # stable
        sides = (rows[objects], image[objects]), (rows[order], image[order])
        values: dict[str, NDArray[np.float64]] = {}
        for number, kind in enumerate(self.kinds):
            values |= self._of_kind(number, kind, *sides, weights)
        single = {name: value for name, value in values.items() if value.ndim == 1}
        return single | values

    def _of_kind(
        self,
        number: int,
        kind: str,
        objects: tuple[NDArray[Any], NDArray[np.int64]],
        detections: tuple[NDArray[Any], NDArray[np.int64]],
        weights: NDArray[np.float64],
    ) -> dict[str, NDArray[np.float64]]:
        """The scores of one kind of overlap, from rows and the image of each; detections by class, the surest first."""
        rows, image = detections
        group, count, most = rows["class"], len(self.classes), self.options["max_detections"]
        by_class: dict[str, NDArray[np.float64]] = {}  # (R, C) each
        for place, part in enumerate(AREAS):
            wanted = (objects[0]["ignored"][:, number, place] == 0).astype(np.int64)
            positives = weighted_totals(wanted, objects[0]["class"], objects[1], count, weights)  # (R, C)
            matched, ignored = rows["matched"][:, number, place], rows["ignored"][:, number, place]
            right = BITS[matched & ~ignored]
            for limit, title in ((1, "_1"), (10, "_10"), (most, "")) if not part else ((most, part),):
                among = rows["rank"] < limit
                hits = weighted_totals(right[among], group[among], image[among], count, weights)
                by_class[f"ar{title}"] = ratio(hits, positives * len(THRESHOLDS))
            total = np.zeros_like(positives)
            for bit in range(len(THRESHOLDS)):
                used = ignored >> bit & 1 == 0
                ap = average_precision(matched[used] >> bit & 1 > 0, group[used], image[used], positives, weights)
                total += ap
                if not part and bit in (0, 5):
                    by_class[f"ap{50 + 5 * bit}"] = ap
            by_class[f"ap{part}"] = total / len(THRESHOLDS)
        values = {f"{kind}_{name}": mean_defined(by_class[name]) for name in SCORES}
        return values | {f"class_{kind}_{name}": by_class[name] for name in ("ap", "ap50", "ar")}

    def _computed(self, about: str, intervals: int, seed: int) -> Scores:
        counts, values, ends = self.computed(intervals, seed)
        rows = np.concatenate(counts)
        crowd = rows["truth"] & (rows["ignored"][:, 0, 0] > 0)
        sides = {"objects": rows["truth"] & ~crowd, "detections": ~rows["truth"]}
        seen = {name: np.bincount(rows["class"][side], minlength=len(self.classes)) for name, side in sides.items()}
        never = (seen["objects"] > 0) & (seen["detections"] == 0)
        missed = tuple(compress(self.classes.names, never))
        return Scores(about, self.classes.names, len(counts), values | seen, ends, self.options, missed=missed)


def _within(areas: NDArray[Any]) -> NDArray[np.bool_]:
    """(K, N) whether the areas (N,) lie in each of the K ranges, both ends included."""
    least, most = np.array(list(AREAS.values())).T[:, :, None]  # (K, 1) each
    return np.asarray((areas >= least) & (areas <= most))
