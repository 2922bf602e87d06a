"""CopyPaste: objects of another picture, pasted into this one (Ghiasi et al. 2021, arXiv 2012.07177)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import OptionError
from intarsia.core.segments import Segments, narrow
from intarsia.transforms._checks import check_share
from intarsia.transforms._donors import fitting_donor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from intarsia.core import Sample
    from intarsia.core.protocols import Transform

__all__ = ["CopyPaste"]


@dataclass(frozen=True)
class CopyPaste:
    """With the given probability some of a donor's objects, one to all, lie on the picture as they lay in their own.

    Pasted pixels replace what was there in all layers, void and padding too; rows that they cover stay, without pixels, and the
    pasted rows follow them. Crowds are not pasted, nor void. A sample without truth is left alone.

    >>> from intarsia.core import Sample, Segments
    >>> cell = lambda: Sample(np.full((1, 3, 1), 9, np.uint8), Segments([[[0, 0, 1]]], [0]))
    >>> paste = CopyPaste(1.0, things=(0,), prepare=lambda sample, rng, donor=None: sample)
    >>> pasted = paste(Sample(np.zeros((1, 3, 1), np.uint8), Segments([[[0, 1, 1]]], [0])), np.random.default_rng(0), cell)
    >>> pasted.image.ravel().tolist(), pasted.segments.ids.tolist()
    ([0, 0, 9], [[[0, 1, 2]]])
    """

    probability: float = 0.5
    things: Sequence[int] | None = None
    """Indices of the classes that are pasted; None: the things of the donor's ClassSet, all classes where it has no set."""
    prepare: Transform | None = None
    """What moves the donor to the sample's size; None: a random scale of 0.5 to 2, a random crop and a flip.

    In training it is the geometry of the sample itself: both jittered alike, as in the paper."""

    def __post_init__(self) -> None:
        check_share("CopyPaste probability", self.probability)
        if self.things is not None and (not len(self.things) or min(self.things) < 0):
            raise OptionError("CopyPaste things", expected="class indices, at least one", received=list(self.things))

    def __call__(self, sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None = None) -> Sample:
        """The sample with what `donor` gives pasted in. Raises OptionError without one, and where no class of it is a thing."""
        if rng.random() >= self.probability or sample.segments is None:
            return sample
        other = fitting_donor(sample, rng, donor, self.prepare, "CopyPaste")
        rows = self._objects(other)
        if other.segments is None or not len(rows):
            return sample
        chosen = np.sort(rng.choice(rows, rng.integers(1, len(rows) + 1), replace=False))
        pasted, own = other.segments.select(chosen), sample.segments
        top = Segments(pasted.ids, np.arange(len(pasted)), scores=pasted.scores).semantic(len(pasted))  # (*S) the row seen
        where = (top >= 0) & (top < len(pasted))
        if other.valid is not None:
            where &= other.valid
        image, ids = sample.image.copy(), own.ids.astype(narrow(-1, len(own) + len(pasted)))
        image[where] = other.image[where]
        ids[:, where] = 0
        ids[0][where] = top[where].astype(ids.dtype) + (len(own) + 1)
        segments = Segments(
            ids,
            np.concatenate([own.classes, pasted.classes]),
            scores=np.concatenate([own.scores, pasted.scores]),
            crowd=np.concatenate([own.crowd, pasted.crowd]),
        )
        return replace(sample, image=image, segments=segments, valid=None if sample.valid is None else sample.valid | where)

    def _objects(self, other: Sample) -> NDArray[np.intp]:
        """The rows that may be pasted: with pixels, no crowd, of the classes asked for."""
        if other.segments is None:
            return np.zeros(0, np.intp)
        things = self.things
        if things is None and other.classes is not None:
            things = np.flatnonzero(other.classes.is_thing).tolist()
            if not things:
                raise OptionError(
                    "CopyPaste things", expected="class indices", hint=f"None of {', '.join(other.classes.names[:9])} is a thing."
                )
        present = np.unique(other.segments.ids)
        rows = present[present > 0].astype(np.intp) - 1
        kept = ~other.segments.crowd[rows]
        if things is not None:
            kept &= np.isin(other.segments.classes[rows], things)
        return rows[kept]
