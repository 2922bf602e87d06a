"""Up-sample x4 and arg-max to 1024x2048, 19 classes: by cells against torch's `interpolate` + `argmax`, on three kinds of logits.

    network   of a small U-Net trained here for `--steps` steps, or of the checkpoint or run folder that `--run` names
    labels    one-hot labels, smoothed, with noise
    noise     an untrained network, the worst case

Pictures are those of `--data` (any folder that intarsia opens; $INTARSIA_DATA/camvid where set), else synthetic scenes. They show
fewer than 19 classes, as any one street scene does; both sides interpolate and compare all 19 channels.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn.functional import cross_entropy, interpolate

import intarsia
from _rounds import medians
from intarsia.core import Sample
from intarsia.data.scenes import scenes
from intarsia.models.unet import UNet
from intarsia.ops.cells import argmax_upsampled

CLASSES, GRID, SIZE = 19, (256, 512), (1024, 2048)
GOAL = 10
"""Times interpolate + argmax, on a network's logits; on noise ours is not to be slower."""
TRIED = 4
"""Pictures that are decoded; the network is trained on the others."""


def main() -> None:
    """Prints a row per kind of logits, share of mixed cells, medians, ratios, differing pixels, then a verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("INTARSIA_DATA", "") and str(Path(os.environ["INTARSIA_DATA"], "camvid"))
    parser.add_argument("--data", default=default, help="folder of images and labels with a split 'test'")
    parser.add_argument("--run", help="checkpoint or run folder of a dense network")
    parser.add_argument("--steps", type=int, default=60, help="of training where there is no --run")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()

    dataset = intarsia.open_dataset(options.data).split("test") if options.data else scenes(60, size=GRID)
    samples = [fitted(dataset[index], GRID) for index in range(0, len(dataset), max(1, len(dataset) // 60))]
    network = intarsia.load(options.run, device="cpu").network if options.run else trained(samples[TRIED:], options.steps)
    rng = np.random.default_rng(0)
    kinds = {
        "network": [logits_of(network, sample) for sample in samples[:TRIED]],
        "labels": [logits_from_labels(sample, rng) for sample in samples[:TRIED]],
        "noise": [rng.normal(size=(CLASSES, *GRID)).astype(np.float32)],
    }
    print(f"{'logits':9}{'classes':>8}{'mixed':>7}{'ours ms':>9}{'argmax ms':>11}{'ratio':>7}{'max ms':>8}{'ratio':>7}  differing")
    ratios = {}
    for kind, several in kinds.items():
        rows = [row(logits, options.rounds) for logits in several]
        mixed, ours, peer, best = (statistics.median(column) for column in list(zip(*rows, strict=True))[:4])
        differing, worst = sum(r[4] for r in rows), max(r[5] for r in rows)
        ties = f", by at most {worst:.0e} in the logit" if differing else ""
        print(
            f"{kind:9}{len(several[0]):8}{mixed:7.1%}{ours:9.1f}{peer:11.1f}{peer / ours:7.1f}{best:8.1f}{best / ours:7.1f}"
            f"  {differing} of {len(several) * SIZE[0] * SIZE[1]} px{ties}"
        )
        ratios[kind] = peer / ours
    print(f"{ratios['network']:.1f} times interpolate + argmax on a network's logits (asked: {GOAL})")
    print(f"never slower than that, on noise neither: {'yes' if min(ratios.values()) >= 1 else 'no'}, {ratios['noise']:.1f} times")
    print("argmax: interpolate(...).argmax(1), the habit; max: interpolate(...).max(1)[1], torch's fastest way to the same.")


def row(logits: np.ndarray, rounds: int) -> tuple[float, float, float, float, int, float]:
    """(mixed share, ours, interpolate + argmax, interpolate + max, differing pixels, the greatest difference of their logits)."""
    tensor = torch.from_numpy(logits)[None]

    def dense() -> torch.Tensor:
        return interpolate(tensor, SIZE, mode="bilinear", align_corners=False)

    times = medians(
        {"ours": lambda: argmax_upsampled(logits, SIZE), "argmax": lambda: dense().argmax(1), "max": lambda: dense().max(1)[1]},
        rounds,
    )
    values = dense()[0]  # (C, H, W)
    ours = torch.from_numpy(argmax_upsampled(logits, SIZE).astype(np.int64))[None]
    differing = int((ours != values.argmax(0)).sum())
    worst = float((values.amax(0) - values.gather(0, ours)).max())
    winners = logits.argmax(0)
    corners = np.stack([winners[:-1, :-1], winners[1:, :-1], winners[:-1, 1:], winners[1:, 1:]])
    return float(np.ptp(corners, axis=0).astype(bool).mean()), times["ours"], times["argmax"], times["max"], differing, worst


def fitted(sample: Sample, size: tuple[int, int]) -> Sample:
    """The middle of the picture in the proportions of `size`, resized to it."""
    assert sample.segments is not None
    height, width = sample.image.shape[:2]
    margin = (height - min(height, width * size[0] // size[1])) // 2
    middle = slice(margin, height - margin)
    image = cv2.resize(sample.image[middle], size[::-1], interpolation=cv2.INTER_LINEAR)
    ids = cv2.resize(sample.segments.semantic(CLASSES)[middle], size[::-1], interpolation=cv2.INTER_NEAREST)
    return Sample(image, intarsia.Segments.from_semantic(ids, CLASSES))


def labels_of(sample: Sample) -> np.ndarray:
    """(H, W) int64, -1 for void and for nothing."""
    assert sample.segments is not None
    labels = sample.segments.semantic(CLASSES).astype(np.int64)
    return np.where(labels < CLASSES, labels, -1)


def trained(samples: list[Sample], steps: int) -> UNet:
    """A tiny U-Net after a short training, on pictures other than those it is tried on."""
    torch.manual_seed(0)
    network, rng = UNet.tiny(CLASSES), np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(1, steps + 1):
        batch = [samples[index] for index in rng.choice(len(samples), 2)]
        images = torch.from_numpy(np.stack([sample.image for sample in batch])).permute(0, 3, 1, 2)  # (B, C, H, W)
        targets = torch.from_numpy(np.stack([labels_of(sample) for sample in batch]))
        loss = cross_entropy(network(images).logits, targets, ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        print(f"\rtraining a tiny U-Net: step {step} of {steps}, loss {loss.item():.2f}", end="", flush=True)
    print()
    return network.eval()


@torch.inference_mode()
def logits_of(network: torch.nn.Module, sample: Sample) -> np.ndarray:
    """(C, 256, 512), whatever the stride of the network."""
    image = fitted(sample, (GRID[0] * network.stride, GRID[1] * network.stride)).image
    logits = network(torch.from_numpy(image).permute(2, 0, 1)[None]).logits[0]  # (1, C, H, W) -> (C, *s)
    return logits.contiguous().numpy()


def logits_from_labels(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """(C, 256, 512) one-hot labels at scale 10, smoothed over some two cells, with noise of deviation 0.5."""
    hot = 10 * np.eye(CLASSES + 1, dtype=np.float32)[labels_of(sample)][..., :-1]  # (256, 512, C), void all 0
    smooth = cv2.GaussianBlur(np.ascontiguousarray(hot), (0, 0), 2)
    noisy = smooth + rng.normal(scale=0.5, size=smooth.shape)
    return np.ascontiguousarray(noisy.transpose(2, 0, 1), dtype=np.float32)


if __name__ == "__main__":
    main()
