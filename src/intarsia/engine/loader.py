"""From samples to batches: the door into torch.

What a worker does (`pictures.py`) is a pure function of seed, epoch and key: neither their number nor a resume moves a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_all_start_methods
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from intarsia.core import Batch, Pixels, Sample, Segments, Targets
from intarsia.engine.kept_memory import keep_freed
from intarsia.engine.pictures import Examples, Ticket, random_state
from intarsia.engine.shared_memory import Packed, Slots, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from intarsia.core.protocols import Transform

__all__ = ["Questions", "TrainingOrder", "batches", "collate", "questions"]


@dataclass
class TrainingOrder(Sampler[list[Ticket]]):
    """Batches of tickets, a new seeded permutation each epoch, shared out among `ranks` processes.

    One step of all ranks together takes the same samples as one process with a batch of `batch_size * accumulate * ranks` would.
    What is left over at the end of an epoch is dropped (another part each epoch); a set smaller than one step is gone through in
    several turns.
    """

    count: int
    batch_size: int
    epochs: range
    seed: int = 0
    first_step: int = 0
    """Steps of the first epoch that are done already (resume)."""
    accumulate: int = 1
    """Batches that one step of the optimiser takes from each rank."""
    rank: int = 0
    ranks: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimiser in one epoch."""
        return max(1, self.count // (self.batch_size * self.accumulate * self.ranks))

    def __len__(self) -> int:
        return max(0, len(self.epochs) * self.steps_per_epoch - self.first_step) * self.accumulate

    def __iter__(self) -> Iterator[list[Ticket]]:
        share = self.batch_size * self.ranks
        step_size = share * self.accumulate
        for epoch in self.epochs:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
            order = np.resize(order, max(len(order), step_size))
            for step in range(self.first_step if epoch == self.epochs.start else 0, self.steps_per_epoch):
                for part in range(self.accumulate):
                    start = step * step_size + part * share + self.rank * self.batch_size
                    places = range(start, start + self.batch_size)
                    yield [(epoch, int(order[place]), place // self.count) for place in places]


def collate(samples: Sequence[Sample], num_classes: int) -> Batch:
    """Samples of one size to a Batch; only ids leave the worker, no stack of masks."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))  # (B, *S, C)
    images = images.movedim(-1, 1)  # (B, C, *S), channels last in memory for free
    valid = None
    if any(sample.valid is not None for sample in samples):
        everywhere = np.ones(samples[0].image.shape[:-1], np.bool_)
        valid = torch.from_numpy(np.stack([everywhere if sample.valid is None else sample.valid for sample in samples]))
    stats = [sample.stats for sample in samples if sample.stats is not None]
    segments = [sample.segments for sample in samples if sample.segments is not None]
    return Batch(
        images=images,
        keys=tuple(sample.key for sample in samples),
        sizes=tuple(sample.size for sample in samples),
        valid=valid,
        stats=torch.from_numpy(np.stack(stats)) if stats else None,
        targets=collate_targets(segments, num_classes) if segments else None,
    )


def collate_targets(segments: Sequence[Segments], num_classes: int) -> Targets:
    """Segments of one size to Targets: layers padded with nothing, rows with class -1."""
    layers, rows = max(len(one.ids) for one in segments), max(len(one) for one in segments)
    ids = np.zeros((len(segments), layers, *segments[0].size), np.result_type(*(one.ids.dtype for one in segments)))
    classes = np.full((len(segments), rows), -1, np.int64)
    crowd = np.zeros((len(segments), rows), np.bool_)
    for index, one in enumerate(segments):
        ids[index, : len(one.ids)] = one.ids
        classes[index, : len(one)] = one.classes
        crowd[index, : len(one)] = one.crowd
    return Targets(torch.from_numpy(ids), torch.from_numpy(classes), torch.from_numpy(crowd), num_classes)


@dataclass(frozen=True)
class Collate:
    """`collate` with its class count, in a form that travels to workers."""

    num_classes: int

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        return collate(samples, self.num_classes)


@dataclass
class Questions(Dataset[tuple[Sample, Segments | None]]):
    """For evaluation: the transformed image by index, and beside it the truth at the size of the file."""

    data: Sequence[Sample]
    pixels: Pixels
    transform: Transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Sample, Segments | None]:
        sample = self.data[index]
        image = replace(sample, segments=None, stats=self.pixels.stats(sample.image, sample.valid))
        return self.transform(image, random_state(0, 0, sample.key), None), sample.segments


def collate_questions(pairs: Sequence[tuple[Sample, Segments | None]]) -> tuple[Batch, list[Segments | None]]:
    """Images to a Batch without targets; their truths stay as they are."""
    samples, truths = zip(*pairs, strict=True)
    return collate(samples, 0), list(truths)


def questions(
    asked: Questions, indices: Sequence[int], *, batch_size: int, workers: int = 0
) -> Iterator[tuple[Batch, list[Segments | None]]]:
    """Batches of images with their truths, in the order of `indices`, none twice and none left out."""
    order = [list(indices[start : start + batch_size]) for start in range(0, len(indices), batch_size)]
    return _loaded(asked, order, collate_questions, workers=workers)


def batches(examples: Examples, order: Iterable[list[Ticket]], *, workers: int = 0, pin_memory: bool = False) -> Iterator[Batch]:
    """Batches of `examples` in the given order, read ahead by `workers` processes (0: by this one)."""
    return _loaded(examples, order, Collate(len(examples.classes)), workers=workers, pin_memory=pin_memory)


def _loaded(
    data: Any, order: Iterable[Any], together: Callable[[Any], Any], *, workers: int, pin_memory: bool = False
) -> Iterator[Any]:
    """torch's DataLoader with a generator of its own: by default each pass over one draws from torch's random state, and then a
    resumed training, which makes one loader more, would drop out other units than one that was never killed.
    """
    keep_freed()
    forked = bool(workers) and "fork" in get_all_start_methods()
    # each worker makes one batch while two of its own wait, and the training has one; torch's thread that pins knows tensors alone
    slots = Slots(3 * workers + 1) if forked and not pin_memory else None
    loader: DataLoader[Any] = DataLoader(
        data,
        batch_sampler=order,
        collate_fn=Handover(together, slots) if workers else together,
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_quiet_worker if workers else None,
        # forked, workers share what was read already, one copy of a large JSON among them; Python 3.14 would begin them anew
        multiprocessing_context="fork" if forked else None,
        generator=torch.Generator(),
    )
    return map(partial(unpacked, slots=slots), loader) if workers else iter(loader)


@dataclass(frozen=True)
class Handover:
    """What a worker does last."""

    together: Callable[[Any], Any]
    slots: Slots | None = None

    def __call__(self, samples: Any) -> Packed:
        return packed(self.together(samples), self.slots)


def _quiet_worker(_: int) -> None:
    """A worker is one of several: it must not start a thread per core itself."""
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    keep_freed()
