"""Both at once: each pixel in one segment at most, an object or a kind of stuff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense, Queries, Regions
from intarsia.decode import _centres, _queries, _regions
from intarsia.decode._confidence import with_scores
from intarsia.decode._thresholds import check_thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.core.classes import ClassSet
    from intarsia.core.output import Output
    from intarsia.core.segments import Segments

__all__ = ["panoptic"]


def panoptic(
    output: Output,
    sizes: Sequence[tuple[int, ...]],
    classes: ClassSet,
    *,
    confidence: bool = False,
    score: float | None = None,
    overlap: float | None = None,
    least_area: float = 0.0,
    heat: float = 0.1,
    kernel: int = 5,
    top: int | None = 200,
) -> list[Segments]:
    """For each image of the batch a partition at the image's own size: objects of things, one row for each kind of stuff, the rest
    nothing.

    `score` is the least of an object, and of a query; `overlap` the share of a mask that must be left where surer ones cover it;
    each is the paper's where it is None. Stuff of less than the share `least_area` of the image is left out. Regions: objects by
    descending score, then stuff (Panoptic FPN, arXiv 1901.02446; score 0.5, overlap 0.5). Queries: each pixel goes to the query of
    the highest score times mask (Mask2Former, arXiv 2112.01527; score 0.8, overlap 0.8). Dense with centres: peaks of `heat` in
    windows of `kernel` cells, the `top` highest, take the pixels whose offsets point nearest to them (Panoptic-DeepLab, arXiv
    1911.10194). With `confidence` a pixel's is the score of its segment, and 1 where there is none. Raises InvalidNoun for an
    output that tells no objects apart or no stuff.
    """
    check_thresholds(score=score, overlap=overlap, least_area=least_area, heat=heat, kernel=kernel, top=top)
    if isinstance(output, Regions):
        answers = _regions.merged(
            output,
            sizes,
            classes,
            score=0.5 if score is None else score,
            overlap=0.5 if overlap is None else overlap,
            least_area=least_area,
        )
    elif isinstance(output, Queries) and output.priors is None:
        answers = _queries.panoptic(
            output,
            sizes,
            classes,
            score=0.8 if score is None else score,
            overlap=0.8 if overlap is None else overlap,
            least_area=least_area,
        )
    elif isinstance(output, Dense) and output.centre is not None:
        answers = _centres.panoptic(
            output, sizes, classes, score=score or 0.0, least_area=least_area, heat=heat, kernel=kernel, top=top
        )
    else:
        raise InvalidNoun("panoptic decode", expected="an output that tells objects apart", received=type(output).__name__)
    return [with_scores(answer) for answer in answers] if confidence else answers
