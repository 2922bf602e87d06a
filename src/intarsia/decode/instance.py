"""Each object apart: one segment per object, with its score; objects may overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense, Queries, Regions
from intarsia.decode import _centres, _prototypes, _queries, _regions
from intarsia.decode._confidence import with_scores
from intarsia.decode._thresholds import check_thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Output
    from intarsia.core.segments import Segments

__all__ = ["instance"]


def instance(
    output: Output,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    confidence: bool = False,
    score: float = 0.05,
    mask: float = 0.5,
    max_detections: int | None = None,
    heat: float = 0.1,
    kernel: int = 5,
) -> list[Segments]:
    """For each image of the batch its objects at the image's own size, the surest first: `max_detections` of `score` or more, where
    it is None 100 of those of query networks, as in the papers, and all that others tell.

    A pixel is an object's where its probability is above `mask`. Regions: each mask is pasted into its box (Mask R-CNN, arXiv
    1703.06870). Queries: the best pairs of query and class, scored by the class's probability times the mean of the mask
    (Mask2Former, arXiv 2112.01527), or those that are left of the boxes (YOLACT, arXiv 1904.02689). Dense with centres: pixels
    grouped by the peaks of `heat` in windows of `kernel` cells (Panoptic-DeepLab, arXiv 1911.10194), where `mask` is not asked.
    With `confidence` a pixel's is the score of the surest object there, and 1 where there is none. Raises InvalidNoun for an output
    that tells no objects apart.
    """
    check_thresholds(score=score, mask=mask, max_detections=max_detections, heat=heat, kernel=kernel)
    most = 100 if max_detections is None else max_detections
    if isinstance(output, Regions):
        answers = _regions.instances(output, sizes, classes, score=score, mask=mask, max_detections=max_detections)
    elif isinstance(output, Queries) and output.priors is not None:
        answers = _prototypes.instances(output, sizes, classes, score=score, mask=mask, max_detections=most)
    elif isinstance(output, Queries):
        answers = _queries.instances(output, sizes, classes, score=score, mask=mask, max_detections=most)
    elif isinstance(output, Dense) and output.centre is not None:
        answers = _centres.instances(output, sizes, classes, score=score, max_detections=max_detections, heat=heat, kernel=kernel)
    else:
        raise InvalidNoun("instance decode", expected="an output that tells objects apart", received=type(output).__name__)
    return [with_scores(answer) for answer in answers] if confidence else answers
