"""Mask AP of images of 480x640 with 20 objects and 40 detections each, end to end from boolean masks, against torchmetrics.

    python benchmarks/mask_ap.py [--images 500] [--rounds 5] [--few 40] [--cpu]

Ours packs the masks into Segments, counts and computes, masks and boxes; torchmetrics' MeanAveragePrecision takes the same masks,
with pycocotools and, where it is installed, with faster_coco_eval. Masks are drawn one image at a time, outside of the clock.
Rounds of a few images come by turns in one process; then comes one run of all, each side in a process of its own, and its peak of
memory. Numbers are checked to agree to 1e-6. Thresholds are handed to torchmetrics as pycocotools has them: its own are rounded to
float32, and an IoU of exactly 0.55 does not reach 0.55. Where others use the machine as well, `--cpu` takes the processor's time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

SIZE, CLASSES, OBJECTS, ALARMS = (480, 640), 10, 20, 20
NAMES = {"ap": "map", "ap50": "map_50", "ap75": "map_75", "ap_small": "map_small", "ap_medium": "map_medium",
         "ap_large": "map_large", "ar_1": "mar_1", "ar_10": "mar_10", "ar": "mar_100", "ar_small": "mar_small",
         "ar_medium": "mar_medium", "ar_large": "mar_large"}  # fmt: skip
BACK_ENDS = ["pycocotools", *(["faster_coco_eval"] if find_spec("faster_coco_eval") else [])]


def ellipses(shapes: np.ndarray) -> np.ndarray:
    """(N, H, W) bool of (N, 4): centre and radii, each drawn in its window."""
    masks = np.zeros((len(shapes), *SIZE), np.bool_)
    for mask, (y, x, height, width) in zip(masks, shapes, strict=True):
        top, left = max(0, int(y - height)), max(0, int(x - width))
        part = mask[top : int(y + height) + 2, left : int(x + width) + 2]
        rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        part[...] = ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1
    return masks


def image(seed: int) -> dict[str, np.ndarray]:
    """Masks of the truth and of detections: each object found, more or less well, and as many false alarms."""
    rng = np.random.default_rng(seed)
    shapes = np.column_stack([rng.uniform(0, SIZE, (OBJECTS + ALARMS, 2)), 6 * np.exp(rng.uniform(0, 2.6, (OBJECTS + ALARMS, 2)))])
    found = shapes.copy()
    found[:, :2] += rng.normal(0, 0.1, (len(found), 2)) * found[:, 2:]
    found[:, 2:] *= np.exp(rng.normal(0, 0.1, (len(found), 2)))
    classes = rng.integers(0, CLASSES, len(shapes))
    named = np.where(rng.random(len(shapes)) < 0.1, rng.integers(0, CLASSES, len(shapes)), classes)
    sure = np.round(rng.beta(np.where(np.arange(len(shapes)) < OBJECTS, 4, 2), 2), 3).astype(np.float32)
    return {
        "truth": ellipses(shapes[:OBJECTS]),
        "classes": classes[:OBJECTS],
        "guess": ellipses(found),
        "named": named,
        "scores": sure,
    }


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """(N, 4) of the pixels."""
    lines = [(mask.any(axis=0).nonzero()[0], mask.any(axis=1).nonzero()[0]) for mask in masks]
    return np.array([[x[0], y[0], x[-1] + 1, y[-1] + 1] if len(x) else [0, 0, 0, 0] for x, y in lines], np.float32)


class Ours:
    """From masks to numbers."""

    def __init__(self) -> None:
        from intarsia.core import ClassSet
        from intarsia.metrics.instance import Instance

        self.metric = Instance(ClassSet(tuple(map(str, range(CLASSES)))))

    @staticmethod
    def segments(one: dict[str, np.ndarray]) -> tuple[Any, Any]:
        """Truth and prediction."""
        from intarsia.ops.packing import pack

        return pack(one["truth"], one["classes"]), pack(one["guess"], one["named"], scores=one["scores"])

    def update(self, one: dict[str, np.ndarray], key: str = "") -> None:
        """Count an image."""
        self.metric.update(*self.segments(one), key)

    def compute(self) -> dict[str, float]:
        """The scores, under names of ours."""
        scores = self.metric.compute(intervals=0)
        return {f"{kind}_{name}": scores[f"{kind}_{name}"] for kind in ("mask", "box") for name in NAMES}


class Theirs:
    """torchmetrics with a back end, of masks or of masks and boxes."""

    def __init__(self, back_end: str, kinds: tuple[str, ...]) -> None:
        from torchmetrics.detection import MeanAveragePrecision

        thresholds = {"iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(), "rec_thresholds": np.linspace(0, 1, 101).tolist()}
        self.kinds = kinds
        self.metric = MeanAveragePrecision(iou_type=kinds, backend=back_end, **thresholds)

    def update(self, one: dict[str, np.ndarray], key: str = "") -> None:
        """Count an image."""
        import torch

        tensors = {name: torch.from_numpy(value) for name, value in one.items()}
        truth = {"masks": tensors["truth"], "labels": tensors["classes"]}
        guess = {"masks": tensors["guess"], "labels": tensors["named"], "scores": tensors["scores"]}
        if "bbox" in self.kinds:
            truth["boxes"], guess["boxes"] = tensors["truth_boxes"], tensors["guess_boxes"]
        self.metric.update([guess], [truth])

    def compute(self) -> dict[str, float]:
        """The scores, under names of ours."""
        values = self.metric.compute()
        ours = {"segm": "mask", "bbox": "box"}
        prefixes = {kind: f"{kind}_" if len(self.kinds) > 1 else "" for kind in self.kinds}
        found = {
            f"{ours[kind]}_{name}": float(values[prefixes[kind] + theirs]) for kind in self.kinds for name, theirs in NAMES.items()
        }
        return {name: np.nan if value < 0 else value for name, value in found.items()}


def candidate(name: str) -> Any:
    back_end, _, both = name.partition(" ")
    return Ours() if back_end == "ours" else Theirs(back_end, ("bbox", "segm") if both else ("segm",))


def drawn(seed: int) -> dict[str, np.ndarray]:
    one = image(seed)
    return one | {"truth_boxes": boxes_of(one["truth"]), "guess_boxes": boxes_of(one["guess"])}


def agree(name: str, theirs: dict[str, float], ours: dict[str, float]) -> None:
    for score, value in theirs.items():
        np.testing.assert_allclose(ours[score], value, atol=1e-6, err_msg=f"{name}: {score}")


def peak() -> float:
    """MiB of this process alone: what getrusage tells begins with those of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def run(name: str, images: int, clock: Callable[[], float], *, packed: bool = False) -> tuple[float, dict[str, float]]:
    """Seconds of `images` images, the drawing of masks left out, and their packing too where they are `packed`; the numbers."""
    metric, spent = candidate(name), 0.0
    for seed in range(images):
        one = drawn(seed)
        given = (metric.metric.update, *Ours.segments(one)) if packed else (metric.update, one)
        start = clock()
        given[0](*given[1:], f"{seed:06d}")
        spent += clock() - start
    start = clock()
    scores = metric.compute()
    return spent + clock() - start, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500, help="of the one run of all")
    parser.add_argument("--few", type=int, default=40, help="images of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    clock = process_time if options.cpu else perf_counter
    if options.only:
        seconds, scores = run(options.only, options.images, clock)
        print(json.dumps([seconds, peak(), scores]))
        return
    import torch

    torch.set_num_threads(1)
    peers = [f"{back_end}{kinds}" for kinds in ("", " and boxes") for back_end in BACK_ENDS]
    times: dict[str, list[float]] = {}
    for _ in range(options.rounds + 1):  # by turns; the first is to warm up
        seconds, ours = run("ours", options.few, clock)
        times.setdefault("ours", []).append(seconds)
        times.setdefault("ours, from Segments", []).append(run("ours", options.few, clock, packed=True)[0])
        for name in peers:
            seconds, theirs = run(name, options.few, clock)
            times.setdefault(name, []).append(seconds)
            agree(name, theirs, ours)
    print(f"{options.few} images, median of {options.rounds} rounds; numbers agree to 1e-6 (mask AP {ours['mask_ap']:.4f})")
    typical = {name: statistics.median(measured[1:]) for name, measured in times.items()}
    for name, seconds in typical.items():
        note = f"{seconds / typical['ours']:5.1f} times ours" if name in peers else " masks and boxes"
        print(f"{name:<28}{1000 * seconds / options.few:8.2f} ms per image {note}")

    print(f"\none run of {options.images} images, each in a process of its own")
    runs: dict[str, Any] = {}
    for name in ("ours", *peers):
        command = [sys.executable, __file__, "--only", name, "--images", str(options.images), *(["--cpu"] if options.cpu else [])]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        seconds, memory, scores = runs[name] = json.loads(lines[-1])
        agree(name, scores if name in peers else {}, runs["ours"][2])
        note = f" {seconds / runs['ours'][0]:5.1f} times ours" if name in peers else " masks and boxes"
        print(f"{name:<28}{seconds:8.2f} s{memory:8.0f} MiB{note}")


if __name__ == "__main__":
    main()
