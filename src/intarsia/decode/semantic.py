"""Dense scores to one segment per class present."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense
from intarsia.core.segments import Segments
from intarsia.decode._arrays import as_array
from intarsia.decode._grouped import grouped
from intarsia.ops.cells import argmax_and_confidence, argmax_upsampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.core.output import Output

__all__ = ["semantic"]


def semantic(
    output: Output,
    sizes: Sequence[tuple[int, ...]],
    num_classes: int,
    *,
    confidence: bool = False,
    groups: Sequence[Sequence[int]] = (),
) -> list[Segments]:
    """For each image of the batch the arg-max of its logits (C, *s) at its own size *S, one row per class present.

    With C = num_classes + 1 channels the last one means nothing here. Scores are 1, or with `confidence` the mean soft-max
    probability of the row's pixels. Logits are numpy arrays or CPU tensors (`.detach().float().cpu()` makes them so). With several
    `groups` of class indices (`ClassSet.group_indices`) there is a channel per class, each group is decided for itself between its
    classes and none of them, whose logit is 0, and has a layer of its own, so that rows of different groups may overlap. Raises
    InvalidNoun for another kind of output, number of channels or number of images, and for groups that are no partition.

    >>> logits = np.array([[[[3.0, 0.0]], [[0.0, 1.0]]]])  # (B, C, h, w) = (1, 2, 1, 2)
    >>> [segments] = semantic(Dense(logits), [(1, 8)], num_classes=2)
    >>> segments.classes.tolist(), segments.areas.tolist()
    ([0, 1], [5.0, 3.0])
    """
    if not isinstance(output, Dense):
        raise InvalidNoun("semantic decode", expected="a Dense output", received=type(output).__name__)
    logits = as_array("logits", output.logits)  # (B, C, *s)
    several = len(groups) > 1
    if several and sorted(index for group in groups for index in group) != list(range(num_classes)):
        raise InvalidNoun("groups", expected=f"each of 0..{num_classes - 1} in one group", received=groups)
    if logits.ndim not in (4, 5) or logits.shape[1] not in (num_classes, num_classes + (not several)):
        more = "" if several else f", or (B, {num_classes + 1}, *s) with nothing last"
        raise InvalidNoun("logits", expected=f"(B, {num_classes}, *s){more}", received=logits.shape)
    if len(sizes) != len(logits):
        raise InvalidNoun("sizes", expected=f"one for each of {len(logits)} images", received=len(sizes))
    align_corners = output.align_corners
    if several:
        return [
            grouped(scores, size, groups, align_corners=align_corners, confidence=confidence)
            for scores, size in zip(logits, sizes, strict=True)
        ]
    if not confidence:
        return [
            Segments.from_semantic(argmax_upsampled(scores, size, align_corners=align_corners), num_classes)
            for scores, size in zip(logits, sizes, strict=True)
        ]
    decoded = (argmax_and_confidence(scores, size, align_corners=align_corners) for scores, size in zip(logits, sizes, strict=True))
    return [_with_confidence(Segments.from_semantic(labels, num_classes), sure) for labels, sure in decoded]


def _with_confidence(segments: Segments, confidence: NDArray[np.float16]) -> Segments:
    """The same with `confidence` (*S), and its mean over each row's pixels as the row's score."""
    total = np.bincount(segments.ids.ravel(), weights=confidence.ravel(), minlength=len(segments) + 1)[1:]  # (N,)
    return Segments(segments.ids, segments.classes, scores=total / segments.areas, confidence=confidence)
