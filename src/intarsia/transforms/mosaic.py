"""Mosaic: one picture of four (Bochkovskiy et al. 2020, "YOLOv4", arXiv 2004.10934, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.segments import Segments, narrow
from intarsia.transforms._checks import check_range, check_share
from intarsia.transforms._donors import fitting_donor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intarsia.core import Sample
    from intarsia.core.protocols import Transform

    Window = tuple[slice, ...]

__all__ = ["Mosaic"]


@dataclass(frozen=True)
class Mosaic:
    """With the given probability the sample and three donors share the picture's size, each seen through one of its four corners,
    which meet at a random point. Which has which is random.

    The sample's rows stay, those that its corner does not show without pixels; the rows of the donors that are seen follow. A donor
    without truth is void. A sample without truth is left alone.

    >>> from intarsia.core import Sample, Segments
    >>> grey = lambda value: Sample(np.full((8, 8, 1), value, np.uint8), Segments(np.ones((1, 8, 8), np.int8), [value]))
    >>> plain = Mosaic(1.0, prepare=lambda sample, rng, donor=None: sample)
    >>> mixed = plain(grey(1), np.random.default_rng(0), lambda: grey(2))
    >>> mixed.image[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist(), mixed.segments.classes.tolist()
    ([1, 2, 2, 2], [1, 2, 2, 2])
    """

    probability: float = 0.5
    centre: tuple[float, float] = (0.25, 0.75)
    """Where the corners meet, in shares of height and of width; drawn for each."""
    prepare: Transform | None = None
    """What moves each donor to the sample's size; None: a random scale of 0.5 to 2, a random crop and a flip."""

    def __post_init__(self) -> None:
        check_share("Mosaic probability", self.probability)
        object.__setattr__(self, "centre", check_range("Mosaic centre", self.centre))
        check_share("Mosaic centre", self.centre[1])

    def __call__(self, sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None = None) -> Sample:
        """The sample and what `donor` gives, in one picture. Raises OptionError without a donor."""
        if rng.random() >= self.probability or sample.segments is None:
            return sample
        pictures = [sample, *(fitting_donor(sample, rng, donor, self.prepare, "Mosaic") for _ in range(3))]
        size = sample.image.shape[:-1]
        middle = [round(extent * rng.uniform(*self.centre)) for extent in size[-2:]]
        halves = [(slice(None, at), slice(at, None)) for at in middle]
        corners = [(..., *corner) for corner in product(*halves)]  # of (*S)
        places = [corners[index] for index in rng.permutation(4)]
        image, valid = np.empty_like(sample.image), np.ones(size, np.bool_)
        for picture, place in zip(pictures, places, strict=True):
            image[(*place, slice(None))] = picture.image[(*place, slice(None))]
            if picture.valid is not None:
                valid[place] = picture.valid[place]
        return replace(sample, image=image, segments=_joined(pictures, places), valid=None if valid.all() else valid)


def _joined(pictures: Sequence[Sample], places: Sequence[Window]) -> Segments:
    """The segments that each picture has in its place, the first picture's with all of its rows."""
    parts: list[Segments] = []
    for picture, place in zip(pictures, places, strict=True):
        segments = picture.segments
        if segments is None:
            segments = Segments(np.full((1, *picture.image.shape[:-1]), -1, np.int8), [])
        ids = np.zeros_like(segments.ids)
        ids[place] = segments.ids[place]
        part = segments.with_ids(ids)
        parts.append(part.compact() if parts else part)
    first = np.cumsum([0, *map(len, parts)])
    ids = np.zeros((max(len(part.ids) for part in parts), *parts[0].size), narrow(-1, int(first[-1])))
    for part, start in zip(parts, first[:-1].tolist(), strict=True):
        own = part.ids.astype(ids.dtype)
        own[own > 0] += start
        ids[: len(own)] += own  # 0 outside its place
    vectors = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "crowd")}
    return Segments(ids, np.concatenate([part.classes for part in parts]), **vectors)
