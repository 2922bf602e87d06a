"""Which objects were found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from intarsia.ops.object_overlaps import object_overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["Found", "found"]


class Found(NamedTuple):
    """The objects of a truth and of a prediction: `partner` (N,) and `answers` (M,) are the row matched on the other side, -1 none;
    `objects` (N,) and `alarms` (M,) tell which rows count, alone or not.
    """

    partner: NDArray[np.intp]
    answers: NDArray[np.intp]
    objects: NDArray[np.bool_]
    alarms: NDArray[np.bool_]

    @property
    def missed(self) -> NDArray[np.bool_]:
        """(N,) the objects of the truth that nothing was found of."""
        return self.objects & (self.partner < 0)

    @property
    def false(self) -> NDArray[np.bool_]:
        """(M,) the objects of the prediction that are nothing true."""
        return self.alarms & (self.answers < 0)


def found(truth: Segments, prediction: Segments, classes: ClassSet) -> Found:
    """The things of a prediction matched with those of the truth: the surest first, each with the free one of its class that it
    shares the most with, if that is more than half of their union.

    Void is not scored. A prediction that lies for more than half on void or on a crowd of its class does not count, nor does a
    crowd, nor a row without pixels.
    """
    overlaps = object_overlaps(truth, prediction)
    same = truth.classes[:, None] == prediction.classes  # (N, M)
    answered = overlaps.prediction + overlaps.void
    objects = classes.is_thing[truth.classes] & (overlaps.truth > 0) & ~truth.crowd
    alarms = classes.is_thing[prediction.classes] & (answered > 0)
    shares = np.where(same & objects[:, None] & alarms, overlaps.iou(), 0.0)
    partner, answers = np.full(len(truth), -1), np.full(len(prediction), -1)
    for row in np.argsort(-prediction.scores, kind="stable").tolist() if len(truth) else []:
        free = np.where(partner < 0, shares[:, row], 0.0)
        best = int(free.argmax())
        if free[best] > 0.5:
            partner[best], answers[row] = row, best
    crowded = np.where(same & truth.crowd[:, None], overlaps.shared, 0).sum(axis=0)
    alarms &= (answers >= 0) | (2 * (overlaps.void + crowded) <= answered)
    return Found(partner, answers, objects, alarms)
