"""Dense scores of several groups of classes to overlapping segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.segments import Segments, narrow
from intarsia.ops.cells import argmax_and_confidence, argmax_upsampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["grouped"]


def grouped(
    logits: NDArray[np.float32], size: tuple[int, ...], groups: Sequence[Sequence[int]], *, align_corners: bool, confidence: bool
) -> Segments:
    """One layer for each group, of (C, *s) logits: the arg-max of the group's own and of 0, which says "none of these".

    Rows are the classes present, in the order of the class set. Groups are independent, so the `confidence` of a pixel's answer is
    the product over the groups; the score of a row is the mean of its own group's.
    """
    classes = sum(map(len, groups))
    layers, scores, product = [], np.ones(classes, np.float32), np.ones(size, np.float32)
    for group in groups:
        none = np.zeros((1, *logits.shape[1:]), np.float32)
        planes = np.concatenate([logits[list(group)], none])  # (|group| + 1, *s)
        if confidence:
            places, sure = argmax_and_confidence(planes, size, align_corners=align_corners)  # (*S), (*S)
            counts = np.bincount(places.ravel(), minlength=len(planes))[:-1]
            totals = np.bincount(places.ravel(), weights=sure.ravel(), minlength=len(planes))[:-1]
            scores[list(group)] = totals / np.maximum(counts, 1)
            product *= sure
        else:
            places = argmax_upsampled(planes, size, align_corners=align_corners)  # (*S)
        rows = np.array([*(index + 1 for index in group), 0], narrow(0, classes))
        layers.append(rows[places])
    every = Segments(np.stack(layers), np.arange(classes), scores=scores, confidence=product if confidence else None)
    return every.compact()
