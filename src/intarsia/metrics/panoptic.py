"""Panoptic quality: which segments are found, and how well they fit, in one number (Kirillov et al. 2018, arXiv 1801.00868)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.metrics._counted import check_pair
from intarsia.metrics._quality import Quality, names
from intarsia.ops.segment_matching import Rows, overlap_ious, overlaps, overlaps_of_numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.metrics._scores import Scores

__all__ = ["Panoptic"]


class Panoptic(Quality):
    """PQ, SQ and RQ per class, and as means over all classes, over things and over stuff.

    A segment of truth and one of prediction are a pair (TP) where they have one class and IoU > 1/2, which no two can have with
    the same third. What is left of the truth is missed (FN), what is left of the prediction is a false alarm (FP). For each class,
    with all counts summed over images:

        SQ = mean IoU of its pairs        RQ = TP / (TP + FP/2 + FN/2)        PQ = SQ RQ

    A class with no segment on either side is nan and in no mean; one without a pair has SQ 0. Numbers are those of panopticapi,
    the reference implementation, whose void is ours:

    - What is predicted on void is in no union, and a segment that lies there for more than half is no false alarm.
    - A crowd is never paired and never missed. A segment that lies for more than half in void and in crowd of its own class is no
      false alarm. (Of several crowds of one class in an image panopticapi knows only the last; here each counts.)
    - Segments are taken as they are given: two of one stuff class are two. A row without pixels is none.

    Where truth or prediction has layers the pixel goes to the highest score, then to the later row, and crowd yields to objects.
    Nothing here, in the truth, is known: what is predicted there counts, in unions and as a false alarm. In the prediction it is
    no segment, and so is void.

    An update is a whole image: tiles cut segments in two.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth = Segments([[[1, 1, 1, 2, 2, 3, 3, 3]]], [0, 1, 1])
    >>> guess = Segments([[[1, 1, 1, 1, 2, 3, 3, 3]]], [0, 1, 1])
    >>> metric = Panoptic(ClassSet(("road", "car"), things=("car",)))
    >>> metric.update(truth, guess)  # IoU: the road 3/4, one car 1, the other 1/2 and so neither found nor right
    >>> scores = metric.compute()
    >>> scores["class_pq"].tolist(), scores["sq_things"], scores["rq_things"], scores["pq"]
    ([0.75, 0.5], 1.0, 0.5, 0.625)
    """

    perfect: ClassVar[dict[str, float]] = dict.fromkeys(names(), 1.0)
    headline: ClassVar[str] = "pq"
    told: ClassVar[tuple[str, ...]] = ("pq", "sq", "rq")
    by_class: ClassVar[tuple[str, ...]] = ("class_pq", "class_sq", "class_rq")

    def __init__(self, classes: ClassSet, *, keys: Iterable[str] = (), counts: NDArray[np.float64] | None = None) -> None:
        """Empty, or from another's `keys` and `counts` (updates, C, 5): the sum of the IoUs of pairs, pairs, false alarms, misses,
        pixels of the truth.
        """
        super().__init__(classes, keys, counts, {})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes."""
        check_pair(truth, prediction, self.classes, key)
        joint = overlaps(truth, prediction)
        self._add(key, self._count(overlap_ious(joint), joint, truth, prediction))

    def update_maps(
        self,
        truth: NDArray[np.integer[Any]],
        true_classes: Mapping[int, int],
        prediction: NDArray[np.integer[Any]],
        classes: Mapping[int, int],
        *,
        crowd: Collection[int] = (),
        void: int = 0,
        key: str = "",
    ) -> None:
        """Count one image from maps (*S) of any numbers of 32 bits, as panopticapi and torchmetrics take them, without Segments.

        `true_classes` and `classes` give the class index of each segment's number, `crowd` names those of the truth that are
        crowds. Raises InvalidNoun for another class or a number that is neither listed nor `void`, IntarsiaError for other sizes.

        >>> from intarsia.core import ClassSet
        >>> metric = Panoptic(ClassSet(("road", "car"), things=("car",)))
        >>> metric.update_maps(np.array([[71, 71, 802, 0]]), {71: 0, 802: 1}, np.array([[5, 5, 9, 9]]), {5: 0, 9: 1})
        >>> metric.compute()["pq"]
        1.0
        """
        sides = []
        for name, of in (("truth", true_classes), ("prediction", classes)):
            if strange := {*of.values()} - {*range(len(self.classes))}:
                raise InvalidNoun(f"classes of {name}", expected=f"indices 0..{len(self.classes) - 1}", received=sorted(strange))
            flags = [name == "truth" and number in crowd for number in of]
            sides.append(Rows(np.array([*of.values()], np.int64), np.array(flags, np.bool_)))
        rows = ({void: -1} | {number: row for row, number in enumerate(of, 1)} for of in (true_classes, classes))
        joint = overlaps_of_numbers(truth, prediction, *rows)
        self._add(key, self._count(overlap_ious(joint), joint, *sides))

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        return self._computed("panoptic: values are 0..1; matched, false alarms and missed are segments", intervals, seed)
