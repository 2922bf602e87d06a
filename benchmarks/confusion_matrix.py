"""Confusion matrix of one 1024x2048 image, 19 classes, void 255: `joint_histogram` against torchmetrics, SMP and torchvision.

Labels are those of $INTARSIA_DATA/camvid where set, scaled up, else synthetic scenes; each class is split in two by place to make
19. Predictions are the labels warped, with blobs of a wrong class; "noisy" ones carry 30 % salt on top, like an untrained network.
Peers get int64 tensors, made outside the timing; every matrix must equal torchmetrics'. All sides run on one thread.

    ours      joint_histogram of the uint8 maps        update    Semantic.update, to 19 classes, of finished Segments
    torchmetrics      functional multiclass_confusion_matrix, validate_args=False
    smp               get_stats, which counts TP, FP, FN, TN per class only
    torchvision       what `ConfusionMatrix.update` in its references/segmentation/utils.py does
    bincount          the plain numpy way, for scale
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

import cv2
import numpy as np
import torch
from segmentation_models_pytorch.metrics import get_stats
from torchmetrics.functional.classification import multiclass_confusion_matrix

import intarsia
from _rounds import medians
from intarsia.core import ClassSet, Segments
from intarsia.data.scenes import scenes
from intarsia.metrics.semantic import Semantic
from intarsia.ops.runs import joint_histogram, runs

CLASSES, SIZE, VOID = 19, (1024, 2048), 255
PEERS = ("torchmetrics", "smp", "torchvision", "bincount")
GOAL, GOAL_PEERS = 15, PEERS[:3]
"""Times each peer, on trained predictions; on noisy ones ours is to be slower than none."""


def main() -> None:
    """Prints a row per kind of prediction, medians of all and how many times ours each peer takes, then a verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(1)

    rng = np.random.default_rng(0)
    truths = some_labels(options.images)
    predictions = [predicted(truth, rng) for truth in truths]
    noisy = [salted(prediction, rng) for prediction in predictions]
    print(f"{'prediction':11}{'accuracy':>9}{'run px':>8}{'ours ms':>9}{'update':>8}" + "".join(f"{peer:>21}" for peer in PEERS))
    least = {}
    for kind, several in (("trained", predictions), ("noisy", noisy)):
        rows = [row(*pair, options.rounds) for pair in zip(truths, several, strict=True)]
        accuracy, run, ours, update, *peers = (statistics.median(column) for column in zip(*rows, strict=True))
        times = "".join(f"{f'{peer:.1f} ms = {peer / ours:.1f} x':>21}" for peer in peers)
        print(f"{kind:11}{accuracy:9.3f}{run:8.1f}{ours:9.2f}{update:8.2f}{times}")
        least[kind] = min(peer / ours for peer in peers[: len(GOAL_PEERS)])
    print(f"{least['trained']:.1f} times the fastest of {', '.join(GOAL_PEERS)} (asked: {GOAL})")
    print(f"never slower than these, on noise neither: {'yes' if min(least.values()) >= 1 else 'no'}, {least['noisy']:.1f} times")


def row(truth: np.ndarray, prediction: np.ndarray, rounds: int) -> tuple[float, ...]:
    """(accuracy, mean joint run in px, then ms: ours, update, the peers); fails where a matrix differs."""
    t, p = (torch.from_numpy(labels.astype(np.int64))[None] for labels in (truth, prediction))
    segments = [Segments.from_semantic(labels.view(np.int8), CLASSES) for labels in (truth, prediction)]
    metric = Semantic(ClassSet(tuple(f"class {index}" for index in range(CLASSES))))

    def ours() -> np.ndarray:
        return joint_histogram(truth.view(np.int8), prediction.view(np.int8), CLASSES + 1, CLASSES + 1)[:-1, :-1]

    def torchvision_reference() -> torch.Tensor:
        scored = (t >= 0) & (t < CLASSES)
        return torch.bincount(CLASSES * t[scored] + p[scored], minlength=CLASSES**2).reshape(CLASSES, CLASSES)

    def bincount() -> np.ndarray:
        scored = truth != VOID
        code = CLASSES * truth[scored].astype(np.int64) + prediction[scored]
        return np.bincount(code, minlength=CLASSES**2).reshape(CLASSES, CLASSES)

    candidates = {
        "ours": ours,
        "update": lambda: metric.update(*segments),
        "torchmetrics": lambda: multiclass_confusion_matrix(p, t, CLASSES, ignore_index=VOID, validate_args=False),
        "smp": lambda: get_stats(p, t, mode="multiclass", num_classes=CLASSES, ignore_index=VOID),
        "torchvision": torchvision_reference,
        "bincount": bincount,
    }
    matrix = candidates["torchmetrics"]().numpy()
    for other in (ours(), torchvision_reference().numpy(), bincount()):
        np.testing.assert_array_equal(other, matrix)
    hits, false_alarms, misses, _ = (count[0].numpy() for count in candidates["smp"]())
    for other, mine in ((hits, 0), (false_alarms, matrix.sum(0)), (misses, matrix.sum(1))):
        np.testing.assert_array_equal(other, np.abs(mine - np.diag(matrix)))
    times = medians(candidates, rounds)
    np.testing.assert_array_equal(metric.counts[0, :CLASSES, :CLASSES], matrix)
    run = truth.size / len(runs(truth.astype(np.uint16) << 8 | prediction)[0])
    return float((truth == prediction)[truth != VOID].mean()), run, *times.values()


def some_labels(count: int) -> list[np.ndarray]:
    """(1024, 2048) uint8: 0..18, and 255 for void and for nothing."""
    root = os.environ.get("INTARSIA_DATA")
    dataset = intarsia.open_dataset(Path(root, "camvid")).split("test") if root else scenes(count, size=(256, 512))
    known = len(dataset.classes)
    several = []
    for index in np.linspace(0, len(dataset) - 1, count).astype(int):
        labels = dataset[int(index)].segments.semantic(known).astype(np.uint8)  # void becomes 255
        labels = cv2.resize(labels, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
        split = np.where(np.arange(SIZE[1]) // 512 % 2, labels + known, labels)  # two ids for a class, by place
        several.append(np.where(labels < known, split % CLASSES, VOID).astype(np.uint8))
    return several


def predicted(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A guess right on some 94 %: boundaries shifted, blobs of other classes, never void."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    shifts = [cv2.resize(rng.normal(0, 5, (32, 64)).astype(np.float32), (width, height)) for _ in range(2)]
    guess = cv2.remap(truth, x + shifts[0], y + shifts[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    guess[guess == VOID] = 3
    for _ in range(100):
        centre, axes = rng.integers(0, (width, height)).tolist(), rng.integers(5, 30, 2).tolist()
        cv2.ellipse(guess, centre, axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(CLASSES)), -1)
    return guess


def salted(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The labels with 30 % of the pixels drawn anew."""
    return np.where(rng.random(labels.shape) < 0.3, rng.integers(0, CLASSES, labels.shape), labels).astype(np.uint8)


if __name__ == "__main__":
    main()
