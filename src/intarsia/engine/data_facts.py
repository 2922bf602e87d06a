"""What a data set is like, told by its labels: sizes, classes, objects. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core import Pixels
from intarsia.data.dataset import evenly_spaced
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from intarsia.core import Sample
    from intarsia.data.dataset import Dataset

__all__ = ["DataFacts", "data_facts"]

LOOKED_AT = 300
"""Images that are looked at, evenly spaced."""
READ = 30
"""Images whose values are read."""
LINES = 64
"""Rows of a label that is made small, to tell how high classes lie."""


@dataclass(frozen=True)
class DataFacts:
    """Of the training images, those looked at."""

    images: int
    """All of them."""
    files: int
    """Those that they are of, fewer where they are planes or pieces."""
    sizes: NDArray[np.int64]
    """(n, 2) height and width."""
    channels: int
    dtype: str
    shares: dict[str, float]
    """Of each class among the labelled pixels, the largest first; "nothing" where pixels may be of no class."""
    absent: tuple[str, ...]
    """The classes of which nothing was seen."""
    heights: dict[str, float]
    """Of each class the mean height of its pixels, 0 at the top and 1 at the bottom."""
    areas: NDArray[np.float64]
    """Pixels of each thing."""
    objects: bool
    """Whether things were told apart in some image."""
    per_image: float
    """Things in an image, in the mean."""
    stuff: tuple[str, ...]
    """The classes seen that are not countable."""
    from_above: bool
    """Whether images know their place on Earth."""
    mean: tuple[float, ...]
    """(C,) of the values, scaled to 0..1 as training scales them."""
    std: tuple[float, ...]

    @property
    def size(self) -> tuple[int, int]:
        """The median height and width."""
        height, width = np.median(self.sizes, axis=0).astype(int).tolist()
        return height, width

    @property
    def one_size(self) -> bool:
        """Whether all images have the same."""
        return len(np.unique(self.sizes, axis=0)) == 1

    @property
    def length(self) -> float:
        """The median side of a thing, in pixels, were it square; 0 where there is none."""
        return float(np.sqrt(np.median(self.areas))) if len(self.areas) else 0.0

    @property
    def imbalance(self) -> float:
        """How many times the most frequent class has the pixels of the rarest that was seen."""
        shares = list(self.shares.values())
        return shares[0] / shares[-1] if shares else 1.0

    @property
    def spread(self) -> float:
        """How far apart classes lie in height: the deviation of their mean heights, the classes weighed alike."""
        return float(np.std(list(self.heights.values()))) if len(self.heights) > 1 else 0.0


def data_facts(data: Dataset) -> DataFacts:
    """The facts of a data set of images with truth, in its labels' order."""
    classes = data.classes
    picked = evenly_spaced(len(data), LOOKED_AT)
    first = data[picked[0]]
    mean, std = _values(data[index] for index in evenly_spaced(len(data), READ))
    count = len(classes) + 1
    pixels, lines = np.zeros(count), np.zeros((count, LINES))
    sizes, areas, objects = [], [], False
    for index in picked:
        segments = data.segments(index)
        if segments is None:
            continue
        sizes.append(segments.size[-2:])
        thing = classes.is_thing[segments.classes] & ~segments.crowd
        areas += segments.areas[thing].tolist()
        objects |= len(segments.classes[thing]) > len(set(segments.classes[thing].tolist()))
        labels = trained_segments(segments, classes, "classes").semantic(len(classes)).reshape(-1, segments.size[-1])
        known = labels[labels >= 0]
        pixels += np.bincount(known, minlength=count)
        step = max(1, labels.shape[1] // LINES)
        rows = np.linspace(0, len(labels) - 1, LINES).astype(int)
        small = labels[rows][:, ::step]  # (LINES, ...)
        for line in range(LINES):
            here = small[line][small[line] >= 0]
            lines[:, line] += np.bincount(here, minlength=count)
    names = [*classes.names, "nothing"]
    total = max(pixels.sum(), 1)
    order = np.argsort(-pixels, kind="stable")
    places = (np.arange(LINES) + 0.5) / LINES
    seen = [index for index in order.tolist() if pixels[index]]
    return DataFacts(
        images=len(data),
        files=len({record.image or record.key for record in data.records}),
        sizes=np.array(sizes or [first.size[-2:]], np.int64),
        channels=first.image.shape[-1],
        dtype=str(first.image.dtype),
        shares={names[index]: float(pixels[index] / total) for index in seen},
        absent=tuple(name for index, name in enumerate(classes.names) if not pixels[index]),
        heights={names[index]: float(lines[index] @ places / lines[index].sum()) for index in seen if lines[index].sum()},
        areas=np.array(areas, np.float64),
        objects=objects,
        per_image=len(areas) / max(1, len(sizes)),
        stuff=tuple(name for index, name in enumerate(classes.names) if pixels[index] and not classes.is_thing[index]),
        from_above=bool((first.geo or {}).get("crs")),
        mean=mean,
        std=std,
    )


def _values(samples: Iterable[Sample]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on a thousand or so pixels of each image."""
    drawn = []
    for sample in samples:
        pixels = Pixels(mean=(0.0,), std=(1.0,)).for_image(sample.image)
        flat = pixels.normalised(sample.image, pixels.stats(sample.image, sample.valid))
        flat = flat.reshape(-1, flat.shape[-1])
        drawn.append(flat[:: max(1, len(flat) // 1000)])
    values = np.nan_to_num(np.concatenate(drawn))
    mean, std = values.mean(axis=0).tolist(), values.std(axis=0).tolist()
    return tuple(round(one, 3) for one in mean), tuple(max(0.01, round(one, 3)) for one in std)
