"""The pictures a training sees, made without torch: one rule for the loader and for the eye."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import numpy as np

from intarsia.core import ClassSet, Pixels, Sample
from intarsia.engine.class_weights import pixel_counts, rare_chances
from intarsia.ops.trained import trained_segments
from intarsia.transforms import evaluation, training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.core.protocols import Transform
    from intarsia.data.dataset import Dataset
    from intarsia.engine.options import TrainOptions

__all__ = ["Examples", "augmented", "pipeline", "random_state"]

Ticket = tuple[int, int, int]
"""(epoch, index of the sample, how often the epoch has had it already): what a sampler hands to a worker."""


def random_state(seed: int, epoch: int, key: str, turn: int = 0) -> np.random.Generator:
    """The generator of one sample in one turn of one epoch; it depends on nothing else, so neither workers nor a resume move it.

    >>> int(random_state(0, 1, "a").integers(100)) == int(random_state(0, 1, "a").integers(100))
    True
    """
    digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng([seed, epoch, turn, digest])


def pipeline(
    size: tuple[int, ...], options: TrainOptions, *, shrink: int = 1, chances: tuple[float, ...] | None = None
) -> Transform:
    """The augmentation that the options name: pictures of `size` at scale 1, cut to `options.crop`; extents over `shrink`.

    `chances` are those of the classes to have a crop laid around them, for `options.rare_crops`.
    """
    whole, piece = (tuple(max(1, extent // shrink) for extent in extents) for extents in (size, options.crop or size))
    if not options.augment:
        return evaluation(whole)
    return training(
        piece,
        base=whole,
        scale=options.scale,
        flip=options.flip,
        rotation=options.rotation,
        colour=options.colour,
        rare=options.rare_crops,
        chances=chances,
        copy_paste=options.copy_paste,
        mosaic=options.mosaic,
    )


@dataclass
class Examples:
    """Samples by ticket: read, reduced to the trained segments, measured for Pixels, transformed."""

    data: Sequence[Sample]
    classes: ClassSet
    pixels: Pixels
    transform: Transform
    trained: Literal["classes", "all", "things"] = "classes"
    seed: int = 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, ticket: Ticket) -> Sample:
        epoch, index, turn = ticket
        sample = self._read(index)
        rng = random_state(self.seed, epoch, sample.key, turn)
        return self.transform(sample, rng, lambda: self._read(int(rng.integers(len(self.data)))))

    def _read(self, index: int) -> Sample:
        sample = self.data[index]
        segments = sample.segments and trained_segments(sample.segments, self.classes, self.trained)
        return replace(sample, segments=segments, stats=self.pixels.stats(sample.image, sample.valid))


def augmented(data: Dataset, options: TrainOptions, count: int, chances: tuple[float, ...] | None = None) -> list[Sample]:
    """The first samples as epoch 0 of a training would see them; `chances` of rare crops are counted where they are not known."""
    size = options.size or data[0].image.shape[:-1]
    pixels = Pixels().for_image(data[0].image)
    if options.rare_crops and chances is None:
        chances = rare_chances(pixel_counts(data, data.classes.channels, which=options.which)[0], len(data.classes))
    examples = Examples(data, data.classes, pixels, pipeline(size, options, chances=chances), options.which, options.seed)
    return [examples[0, index, 0] for index in range(min(count, len(data)))]
