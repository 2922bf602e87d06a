"""What the measures cost per image, 11 classes at 480x360, beside MONAI's surface metrics and the boundary IoU of its authors.

Labels are those of $INTARSIA_DATA/camvid where set, else synthetic scenes; answers are the labels through a coarse grid, so that
outlines are jagged. Surface is HD95, Hausdorff, average distance and surface Dice, for which MONAI takes a call each. Values are
checked to agree.
All sides run on one thread.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

from _rounds import medians
from intarsia.core import ClassSet, Segments
from intarsia.core.catalogue import find
from intarsia.data.scenes import scenes

CLASSES, SIZE = 11, (360, 480)


def labels() -> list[np.ndarray]:
    if folder := os.environ.get("INTARSIA_DATA"):
        files = sorted((Path(folder) / "camvid" / "testannot").iterdir())[::60]
        return [np.minimum(cv2.imread(str(file), cv2.IMREAD_UNCHANGED).astype(np.int64), CLASSES - 1) for file in files]
    return [sample.segments.semantic(CLASSES).astype(np.int64) % CLASSES for sample in scenes(4, size=SIZE)]


def coarse(truth: np.ndarray) -> np.ndarray:
    small = cv2.resize(truth.astype(np.uint8), (SIZE[1] // 6, SIZE[0] // 6), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int64)


def monai(truth: np.ndarray, guess: np.ndarray) -> list[np.ndarray]:
    both = [torch.from_numpy(np.stack([side == k for k in range(CLASSES)])[None]) for side in (guess, truth)]
    values = (
        compute_hausdorff_distance(*both, include_background=True, percentile=95),
        compute_hausdorff_distance(*both, include_background=True),
        compute_average_surface_distance(*both, include_background=True, symmetric=True),
        compute_surface_dice(*both, [2.0] * CLASSES, include_background=True),
    )
    return [value[0].numpy() for value in values]


def authors(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """boundary_iou/utils/boundary_utils.py of github.com/bowenc0221/boundary-iou-api, class by class."""

    def rim(mask: np.ndarray) -> np.ndarray:
        padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        width = max(1, round(0.02 * float(np.hypot(*mask.shape))))
        return mask - cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]

    result = []
    for k in range(CLASSES):
        one, other = (rim((side == k).astype(np.uint8)) for side in (truth, guess))
        result.append((one & other).sum() / max(1, (one | other).sum()))
    return np.array(result)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    classes = ClassSet(tuple(map(str, range(CLASSES))))
    pairs = [(truth, coarse(truth)) for truth in labels()]
    sure = np.linspace(0, 1, SIZE[0] * SIZE[1], dtype=np.float16).reshape(SIZE)
    segments = [[Segments.from_semantic(side, CLASSES) for side in pair] for pair in pairs]
    segments = [(truth, guess.with_ids(guess.ids, confidence=sure)) for truth, guess in segments]

    def ours(name: str):
        metric = find("metrics", name)(classes)
        for truth, guess in segments:
            metric.update(truth, guess)
        return metric

    for (truth, guess), count in zip(pairs, ours("surface").counts, strict=True):
        theirs = monai(truth, guess)
        shared = (count[:, 4] == 1) & (count[:, 5] == 0)
        for column in range(4):
            np.testing.assert_allclose(count[shared, column], theirs[column][shared], rtol=1e-4)
    for (truth, guess), count in zip(pairs, ours("boundary").counts, strict=True):
        np.testing.assert_allclose(count[:, 0] / np.maximum(1, count[:, 1] + count[:, 2] - count[:, 0]), authors(truth, guess))

    times = medians(
        {name: (lambda name=name: ours(name)) for name in ("semantic", "boundary", "surface", "calibration")}
        | {"monai": lambda: [monai(*pair) for pair in pairs], "authors": lambda: [authors(*pair) for pair in pairs]}
    )
    per_image = {name: time / len(pairs) for name, time in times.items()}
    for name, time in per_image.items():
        print(f"{name:<12} {time:8.2f} ms per image")
    print(f"surface is {per_image['monai'] / per_image['surface']:.1f} times as fast as MONAI's four calls")
    print(f"boundary IoU and F1 take {per_image['boundary'] / per_image['authors']:.1f} times the authors' boundary IoU alone")


if __name__ == "__main__":
    main()
