"""From JPEG and label PNG to a normalised batch of 8, augmented; against albumentations and torchvision v2.

    small   480x360, random resized crop to 480x360, flip, brightness and contrast
    large   2048x1024, scaled by 0.5..2, cut or padded to 1024x512, flip, brightness and contrast

All draw the same kinds of change from the same ranges, in one process and one thread, and end with float32 images (8, 3, H, W) and
int64 labels (8, H, W). Ours keeps decoded labels as run lengths (the label cache, filled before the clock starts) and normalises
once per batch; each peer is timed in its usual form, image by image, and with its normalisation moved to the batch, and its
faster form counts.

Pictures are those of `--data` (any folder that intarsia opens; $INTARSIA_DATA/camvid where set), else synthetic scenes, written
anew as JPEG of quality 90 and PNG. So the large ones are scaled up, with noise, not taken by a large sensor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

import albumentations
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from torchvision import io, tv_tensors
from torchvision.transforms import v2

import intarsia
from _rounds import medians
from intarsia.core import Pixels, Sample
from intarsia.data.dataset import Dataset
from intarsia.data.scenes import scenes
from intarsia.engine.loader import Collate
from intarsia.engine.pictures import Examples
from intarsia.models.blocks.normalise import Normalise
from intarsia.transforms import Compose
from intarsia.transforms.brightness import Brightness
from intarsia.transforms.contrast import Contrast
from intarsia.transforms.flip import Flip
from intarsia.transforms.random_resized_crop import RandomResizedCrop
from intarsia.transforms.scale_and_crop import ScaleAndCrop

BATCH, COLOUR = 8, 0.3
SHARE, RATIO = (0.25, 1.0), (3 / 4, 4 / 3)
SCALE = (0.5, 2.0)
"""Drawn uniformly, as the peers draw it; ours by itself draws log-uniformly, which makes smaller pictures and so less work."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GOALS = {"small": (1.1, 1.8), "large": (1.8, 2.5)}

Pairs = list[tuple[str, str]]
"""Paths of image and label."""
Batch = tuple[torch.Tensor, torch.Tensor]
"""float32 (8, 3, H, W), int64 (8, H, W)."""


@dataclass(frozen=True)
class Candidate:
    """A way from files to a batch, in the three parts that a loader of several processes takes it apart into."""

    count: int
    """How many pictures there are."""
    one: Callable[[int], Any]
    """A picture by its index."""
    together: Callable[[Sequence[Any]], Any]
    """Several of them as one; here a loader's workers end."""
    finish: Callable[[Any], Batch]
    """What is done once per batch, by the process that trains."""

    def in_turn(self) -> Callable[[], Batch]:
        """A call makes the next batch."""
        turn = cycle(range(self.count))
        return lambda: self.finish(self.together([self.one(next(turn)) for _ in range(BATCH)]))


def main() -> None:
    """Prints a row per candidate and set, then the ratios against what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("INTARSIA_DATA", "") and str(Path(os.environ["INTARSIA_DATA"], "camvid"))
    parser.add_argument("--data", default=default, help="folder of images and labels with a split 'train'")
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)

    source = intarsia.open_dataset(options.data).split("train") if options.data else scenes(64, size=(180, 240))
    print(f"pictures of {source.name}, batches of {BATCH}, median of {options.rounds} rounds")
    for name, size, out in (("small", (360, 480), (360, 480)), ("large", (1024, 2048), (512, 1024))):
        with tempfile.TemporaryDirectory() as folder:
            pairs = written(source, Path(folder), size, count=64 if name == "small" else 24)
            candidates = {
                "ours": ours(our_examples(Path(folder), out, whole=name == "small")),
                **albumentations_(pairs, out, whole=name == "small"),
                **torchvision_(pairs, out, whole=name == "small"),
            }
            loads = {candidate: made.in_turn() for candidate, made in candidates.items()}
            for candidate, load in loads.items():
                check(candidate, load(), out)
            times = medians(loads, options.rounds)
        print(f"\n{name}: {size[1]}x{size[0]} -> {out[1]}x{out[0]}")
        for candidate, milliseconds in times.items():
            print(f"  {candidate:32}{milliseconds:8.1f} ms a batch{1000 * BATCH / milliseconds:8.0f} images/s")
        for peer, goal in zip(("albumentations", "torchvision v2"), GOALS[name], strict=True):
            best = min(value for candidate, value in times.items() if candidate.startswith(peer))
            print(f"  {best / times['ours']:.2f} times {peer} (asked: {goal})")


def check(candidate: str, batch: Batch, out: tuple[int, int]) -> None:
    """What every candidate must end with."""
    images, labels = batch
    assert (images.dtype, images.shape) == (torch.float32, (BATCH, 3, *out)), candidate
    assert (labels.dtype, labels.shape) == (torch.int64, (BATCH, *out)), candidate


def written(source: Dataset, folder: Path, size: tuple[int, int], count: int) -> Pairs:
    """`count` pictures of the source at `size` as images/*.jpg and masks/*.png, void 255."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir()
    (folder / "codes.txt").write_text("\n".join((*source.classes.names, "nothing")))
    pairs = []
    for index in range(count):
        sample = source[index * len(source) // count]
        assert sample.segments is not None
        labels = sample.segments.semantic(len(source.classes)).astype(np.uint8)  # -1 becomes 255
        image = cv2.resize(sample.image, size[::-1], interpolation=cv2.INTER_CUBIC)
        if (
            image.shape[:2] != sample.image.shape[:2]
        ):  # what is scaled up is smoother, so faster to decode, than what a sensor gives
            image = (image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8)
        pairs.append((str(folder / "images" / f"{index:03}.jpg"), str(folder / "masks" / f"{index:03}.png")))
        cv2.imwrite(pairs[-1][0], np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])
        cv2.imwrite(pairs[-1][1], cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
    return pairs


# -- the candidates ----------------------------------------------------------------------------------------------------------------


def our_examples(folder: Path, out: tuple[int, int], *, whole: bool) -> Examples:
    """What the trainer reads, with the label cache filled, as the first epoch does."""
    data = intarsia.open_dataset(folder, format="mask_folder")
    for index in range(len(data)):
        data.segments(index)
    rest = Flip(0.5), Brightness(COLOUR), Contrast(COLOUR)

    def transform(sample: Sample, rng: np.random.Generator, again: Callable[[], Sample] | None) -> Sample:
        scale = rng.uniform(*SCALE)
        crop = RandomResizedCrop(out, SHARE, RATIO) if whole else ScaleAndCrop(out, (scale, scale))
        return Compose((crop, *rest))(sample, rng, again)

    return Examples(data, data.classes, Pixels(mean=MEAN, std=STD), transform)


def ours(examples: Examples) -> Candidate:
    """As the trainer does it: examples, collate, and the network's own Normalise."""
    normalise, epoch = Normalise(examples.pixels, 3), count()

    def finish(batch: Any) -> Batch:
        return normalise(batch.images, batch.valid), batch.targets.semantic()

    return Candidate(len(examples), lambda index: examples[next(epoch), index, 0], Collate(len(examples.classes)), finish)


def albumentations_(pairs: Pairs, out: tuple[int, int], *, whole: bool) -> dict[str, Candidate]:
    """cv2 decoding, a Compose, torch's own stacking."""
    a = albumentations
    flip = a.HorizontalFlip(p=0.5)
    colour = a.RandomBrightnessContrast(COLOUR, COLOUR, p=1)

    crops = [
        a.RandomScale((SCALE[0] - 1, SCALE[1] - 1), p=1),
        a.PadIfNeeded(*out, position="random", border_mode=cv2.BORDER_CONSTANT, fill=0, fill_mask=255),
        a.RandomCrop(*out),
    ]
    if whole:
        crops = [a.RandomResizedCrop(out, scale=SHARE, ratio=(RATIO[0] * out[1] / out[0], RATIO[1] * out[1] / out[0]))]

    def form(last: list[Any]) -> Callable[[int], Batch]:
        transform = a.Compose([*crops, flip, colour, *last])

        def one(index: int) -> Batch:
            image = cv2.imread(pairs[index][0], cv2.IMREAD_COLOR_RGB)
            label = cv2.imread(pairs[index][1], cv2.IMREAD_UNCHANGED)
            done = transform(image=image, mask=label)
            return done["image"], done["mask"]

        return one

    usual = form([a.Normalize(MEAN, STD), ToTensorV2()])
    return both("albumentations", len(pairs), usual, form([ToTensorV2()]))


def torchvision_(pairs: Pairs, out: tuple[int, int], *, whole: bool) -> dict[str, Candidate]:
    """torchvision's own decoders, a v2.Compose over tv_tensors, torch's own stacking."""
    flip, colour = v2.RandomHorizontalFlip(0.5), v2.ColorJitter(COLOUR, COLOUR)

    crops = [
        v2.ScaleJitter((1024, 2048), SCALE),
        v2.RandomCrop(out, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: 255}),
    ]
    if whole:
        crops = [v2.RandomResizedCrop(out, scale=SHARE, ratio=(RATIO[0] * out[1] / out[0], RATIO[1] * out[1] / out[0]))]

    def form(last: list[Any]) -> Callable[[int], Batch]:
        transform = v2.Compose([*crops, flip, colour, *last])

        def one(index: int) -> Batch:
            image = tv_tensors.Image(io.decode_jpeg(io.read_file(pairs[index][0])))
            mask = tv_tensors.Mask(io.decode_png(io.read_file(pairs[index][1]))[0])
            done: Batch = transform(image, mask)
            return done

        return one

    usual = form([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    return both("torchvision v2", len(pairs), usual, form([]))


def both(peer: str, pictures: int, usual: Callable[[int], Batch], raw: Callable[[int], Batch]) -> dict[str, Candidate]:
    """The peer in its usual form, and with uint8 images that are normalised once per batch."""
    normalise = Normalise(Pixels(mean=MEAN, std=STD), 3)

    def together(pairs: Sequence[Batch]) -> Batch:
        images, labels = zip(*pairs, strict=True)
        return torch.stack(images), torch.stack(labels).long()

    def normalised(batch: Batch) -> Batch:
        return normalise(batch[0]), batch[1]

    return {
        peer: Candidate(pictures, usual, together, lambda batch: batch),
        f"{peer}, normalised by batch": Candidate(pictures, raw, together, normalised),
    }


if __name__ == "__main__":
    main()
