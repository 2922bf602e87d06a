"""Which class each pixel is: one segment per class present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense, Queries, Regions
from intarsia.core.segments import Segments
from intarsia.decode import _queries as queries
from intarsia.decode._arrays import as_array, check_images
from intarsia.decode._confidence import with_means
from intarsia.decode._grouped import grouped
from intarsia.ops.cells import argmax_and_confidence, argmax_upsampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Output

__all__ = ["semantic"]


def semantic(output: Output, sizes: Sequence[tuple[int, ...]], classes: ClassSet, *, confidence: bool = False) -> list[Segments]:
    """For each image of the batch the class of each pixel at its own size *S, one row per class present.

    Dense: the arg-max of the logits (C, *s), of C + 1 channels the last meaning nothing here; scores are 1, or with `confidence`
    the mean soft-max probability of the row's pixels. Logits are numpy arrays or CPU tensors (`.detach().float().cpu()` makes them
    so). With several groups of classes there is a channel per class, each group is decided for itself between its classes and none
    of them, whose logit is 0, and has a layer of its own, so that rows of different groups may overlap. Queries: each class's sum
    of the probabilities of the queries' masks (MaskFormer). Regions: those of their semantic branch. Raises InvalidNoun for another
    number of channels or of images, and for Regions without that branch.

    >>> import numpy as np
    >>> from intarsia.core import ClassSet
    >>> logits = np.array([[[[3.0, 0.0]], [[0.0, 1.0]]]])  # (B, C, h, w) = (1, 2, 1, 2)
    >>> [segments] = semantic(Dense(logits), [(1, 8)], ClassSet(("sky", "road")))
    >>> segments.classes.tolist(), segments.areas.tolist()
    ([0, 1], [5.0, 3.0])
    """
    if isinstance(output, Queries) and output.priors is None:
        return queries.semantic(output, sizes, classes, confidence=confidence)
    dense = output.semantic if isinstance(output, Regions) else output
    if not isinstance(dense, Dense):
        raise InvalidNoun("semantic decode", expected="an output that answers for each pixel", received=type(output).__name__)
    num_classes, groups = len(classes), classes.group_indices
    logits = as_array("logits", dense.logits)  # (B, C, *s)
    several = len(groups) > 1
    if logits.ndim not in (4, 5) or logits.shape[1] not in (num_classes, num_classes + (not several)):
        more = "" if several else f", or (B, {num_classes + 1}, *s) with nothing last"
        raise InvalidNoun("logits", expected=f"(B, {num_classes}, *s){more}", received=logits.shape)
    check_images(logits, sizes)
    align_corners = dense.align_corners
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
    return [with_means(Segments.from_semantic(labels, num_classes), sure) for labels, sure in decoded]
