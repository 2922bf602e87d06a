"""The whole loader: files to normalised batches of 8, two worker processes; against albumentations, torchvision v2 and fastai.

    small   480x360, random resized crop to 480x360, flip, brightness and contrast
    large   2048x1024, scaled by 0.5..2, cut to 1024x512, flip, brightness and contrast

Pictures and changes are those of `pipeline.py`; a loader begins anew each turn, its first batches are not timed, and all end with
float32 images (8, 3, H, W) and int64 labels (8, H, W). Ours is what the trainer iterates over: `batches` of `Examples` with the
label cache, filled before the workers fork, then the network's own Normalise. albumentations and torchvision run in torch's
DataLoader, in the faster of the two forms of `pipeline.py`. fastai is its DataBlock as its tutorials have it: a random resized crop
by the workers (in the large set of 1/16 to all of the picture, which is scales 0.5..2), the rest on the batch.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import torch
from fastai.vision import all as fastai
from torch.utils.data import DataLoader, Dataset

import intarsia
from intarsia.data.scenes import scenes
from intarsia.engine.loader import TrainingOrder, batches
from intarsia.engine.pictures import Examples
from pipeline import (
    BATCH,
    COLOUR,
    MEAN,
    RATIO,
    SCALE,
    SHARE,
    STD,
    Batch,
    Candidate,
    Pairs,
    albumentations_,
    check,
    our_examples,
    ours,
    torchvision_,
    written,
)

WORKERS = 2
ENDLESS = range(10**6)
"""Epochs."""
UNTIMED = 2 * WORKERS + 2
"""Batches that a turn begins with: those read ahead while the others' processes were still ending, and two more."""
GOALS = {"small": 1.3, "large": 2.0}

Loader = Callable[[], Iterator[Batch]]
"""A pass without end, by processes that begin with it."""


def main() -> None:
    """Prints a row per candidate and set, then the ratio to the best peer against what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("INTARSIA_DATA", "") and str(Path(os.environ["INTARSIA_DATA"], "camvid"))
    parser.add_argument("--data", default=default, help="folder of images and labels with a split 'train'")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--batches", type=int, default=24, help="timed in each turn")
    options = parser.parse_args()

    one_thread()

    source = intarsia.open_dataset(options.data).split("train") if options.data else scenes(64, size=(180, 240))
    print(f"pictures of {source.name}, batches of {BATCH}, {WORKERS} workers, median of {options.rounds} rounds")
    for name, size, out in (("small", (360, 480), (360, 480)), ("large", (1024, 2048), (512, 1024))):
        whole = name == "small"
        with tempfile.TemporaryDirectory() as folder:
            pairs = written(source, Path(folder), size, count=64 if whole else 24)
            peers = albumentations_(pairs, out, whole=whole) | torchvision_(pairs, out, whole=whole)
            loaders = {
                "ours": ours_loaded(our_examples(Path(folder), out, whole=whole)),
                **{peer: loaded(candidate) for peer, candidate in peers.items()},
                "fastai": fastai_loaded(pairs, len(source.classes), out, whole=whole),
            }
            times: dict[str, list[float]] = {candidate: [] for candidate in loaders}
            for _ in range(options.rounds):
                for candidate, loader in loaders.items():
                    times[candidate].append(seconds(candidate, loader, options.batches, out))
        print(f"\n{name}: {size[1]}x{size[0]} -> {out[1]}x{out[0]}")
        for candidate, measured in times.items():
            print(f"  {candidate:32}{1000 * median(measured):8.1f} ms a batch{BATCH / median(measured):8.0f} images/s")
        best = min(("albumentations", "torchvision", "fastai"), key=lambda peer: fastest(times, peer))
        print(f"  {fastest(times, best) / fastest(times, 'ours'):.2f} times {best} (asked: {GOALS[name]})")


def fastest(times: dict[str, list[float]], peer: str) -> float:
    """The median of the peer's faster form."""
    return min(median(measured) for candidate, measured in times.items() if candidate.startswith(peer))


def seconds(candidate: str, loader: Loader, timed: int, out: tuple[int, int]) -> float:
    """Of a batch, over `timed` batches in a row."""
    running = loader()
    for batch in islice(running, UNTIMED):
        check(candidate, batch, out)
    begin = perf_counter()
    for _ in islice(running, timed):
        pass
    return (perf_counter() - begin) / timed


def ours_loaded(examples: Examples) -> Loader:
    """The trainer's own loader and order."""
    finish = ours(examples).finish
    return lambda: map(finish, batches(examples, TrainingOrder(len(examples), BATCH, ENDLESS), workers=WORKERS))


def loaded(candidate: Candidate) -> Loader:
    """torch's DataLoader in the same order, no more threads in its workers than in ours."""

    def loader() -> Iterator[Batch]:
        order = ([index for _, index, _ in tickets] for tickets in TrainingOrder(candidate.count, BATCH, ENDLESS))
        pictures: DataLoader[Any] = DataLoader(
            Pictures(candidate),
            batch_sampler=order,
            collate_fn=candidate.together,
            num_workers=WORKERS,
            worker_init_fn=one_thread,
        )
        return map(candidate.finish, pictures)

    return loader


class Pictures(Dataset[Any]):
    """A candidate's pictures, as torch's DataLoader wants them."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate

    def __getitem__(self, index: int) -> Any:
        return self.candidate.one(index)


def one_thread(_: int = 0) -> None:
    """A worker is one of several, and so is what waits for it: torch's idle threads spin."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def fastai_loaded(pairs: Pairs, classes: int, out: tuple[int, int], *, whole: bool) -> Loader:
    """A DataBlock: the crop by the workers, one picture at a time; flip, colour and normalisation by the batch."""
    share, ratio = (SHARE, RATIO) if whole else ((SCALE[1] ** -2 / 4, 1.0), (1.0, 1.0))
    labels = dict(pairs)
    block = fastai.DataBlock(
        blocks=(fastai.ImageBlock, fastai.MaskBlock(codes=list(range(classes)))),
        get_y=lambda image: labels[image],
        splitter=fastai.IndexSplitter([]),
        item_tfms=fastai.RandomResizedCrop(out, share[0], tuple(one * out[1] / out[0] for one in ratio)),
        batch_tfms=[
            fastai.Flip(0.5),
            fastai.Brightness(COLOUR, 1.0),
            fastai.Contrast(COLOUR, 1.0),
            fastai.Normalize.from_stats(MEAN, STD, cuda=False),
        ],
    )
    made = block.dataloaders(list(labels), bs=BATCH, num_workers=WORKERS, device=torch.device("cpu")).train

    def loader() -> Iterator[Batch]:
        for images, labels in chain.from_iterable(repeat(made)):
            yield images.as_subclass(torch.Tensor), labels.as_subclass(torch.Tensor)

    return loader


if __name__ == "__main__":
    main()
