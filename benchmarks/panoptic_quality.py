"""Panoptic quality of one 1024x2048 pair of some 15 to 40 segments against torchmetrics and a PQ in the manner of panopticapi.

Labels are those of $INTARSIA_DATA/camvid where set, scaled up, else synthetic scenes: each stuff class is a segment, each connected
piece of a thing class is one; predictions are those labels warped, with blobs of other segments. All sides give the same numbers,
which is checked, and run on one thread.

    maps          ours from int32 maps and lists of segments, as panopticapi takes them, to PQ: `update_maps`
    converted     the same by Segments made of the maps, which keep what else one may ask
    segments      ours from finished Segments to PQ
    small PQ      written here after panopticapi's description: np.unique of both maps as one number, then dictionaries
    torchmetrics  PanopticQuality.update, of tensors made outside the timing

The small PQ is two sorts of numpy, two to three times as fast with AVX-512 as without (NPY_DISABLE_CPU_FEATURES takes it away).
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch
from torchmetrics.detection import PanopticQuality

import intarsia
from _rounds import medians
from intarsia.core import ClassSet, Segments
from intarsia.data.scenes import scenes
from intarsia.metrics.panoptic import Panoptic
from intarsia.ops.renumbering import renumbered

SIZE, BASE = (1024, 2048), 1 << 24
GOALS = {"small PQ": 8, "torchmetrics": 500}
WIDTHS = {"maps": "8.2f", "converted": "11.2f", "segments": "10.2f", "small PQ": "10.1f", "torchmetrics": "14.0f"}
THINGS = ("pole", "sign", "car", "pedestrian", "bicyclist")

Info = list[dict[str, int]]
"""Of each segment its id in the map and its class."""


def main() -> None:
    """Prints a row per image, then how many times ours the peers take."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    classes, pairs = some_pairs(options.images)
    heads = (f"{name:>{width.partition('.')[0]}}" for name, width in WIDTHS.items())
    print(f"{'segments':>10}{'PQ':>8}{''.join(heads)}  (ms)")
    rows = [row(classes, *pair, options.rounds) for pair in pairs]
    maps, converted, segments, small, peer = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"from maps {small / maps:.1f} times as fast as the small PQ (asked: {GOALS['small PQ']}); ", end="")
    print(f"{peer / maps:.0f} times as fast as torchmetrics (asked: {GOALS['torchmetrics']})")
    print(f"by conversion {small / converted:.1f} and {peer / converted:.0f} times; ", end="")
    print(f"from Segments {small / segments:.1f} and {peer / segments:.0f} times")


def row(
    classes: ClassSet, truth: np.ndarray, truth_info: Info, guess: np.ndarray, guess_info: Info, rounds: int
) -> tuple[float, ...]:
    """Milliseconds from maps, by conversion, from Segments, of the small PQ and of torchmetrics; fails where a number differs."""

    def of_segments(one: Segments, other: Segments) -> Panoptic:
        metric = Panoptic(classes)
        metric.update(one, other)
        metric.compute(0)
        return metric

    def of_maps() -> Panoptic:
        metric = Panoptic(classes)
        wanted, given = ({one["id"]: one["category_id"] for one in info} for info in (truth_info, guess_info))
        metric.update_maps(truth, wanted, guess, given)
        metric.compute(0)
        return metric

    def converted() -> Panoptic:
        return of_segments(as_segments(truth, truth_info), as_segments(guess, guess_info))

    things = np.flatnonzero(classes.is_thing).tolist()
    theirs = PanopticQuality(set(things), set(range(len(classes))) - set(things))
    tensors = [coloured(*side, len(classes)) for side in ((guess, guess_info), (truth, truth_info))]
    theirs.update(*tensors)
    finished = as_segments(truth, truth_info), as_segments(guess, guess_info)
    ours, small = of_maps().counts[0][:, :4], small_pq(truth, truth_info, guess, guess_info, len(classes))
    np.testing.assert_allclose(ours, small, rtol=1e-12)
    np.testing.assert_array_equal(ours, converted().counts[0][:, :4])
    order = np.array([*things, *(k for k in range(len(classes)) if k not in things)])  # torchmetrics': things first
    sums = (theirs.iou_sum, theirs.true_positives, theirs.false_positives, theirs.false_negatives)
    np.testing.assert_allclose(ours[order], np.stack([each.numpy() for each in sums], axis=1), rtol=1e-6)  # float32 there
    candidates = {
        "maps": of_maps,
        "converted": converted,
        "segments": lambda: of_segments(*finished),
        "small PQ": lambda: small_pq(truth, truth_info, guess, guess_info, len(classes)),
    }
    times = medians(candidates, rounds) | medians({"torchmetrics": lambda: theirs.update(*tensors)}, 2)
    pq = of_segments(*finished).compute(0)["pq"]
    numbers = f"{len(truth_info)}, {len(guess_info)}"
    told = (f"{times[name]:{width}}" for name, width in WIDTHS.items())
    print(f"{numbers:>10}{pq:8.3f}{''.join(told)}")
    return tuple(times.values())


def as_segments(numbers: np.ndarray, info: Info) -> Segments:
    """What a reader of such files makes: rows in the order of the list; id 0 is void."""
    ids = renumbered(numbers, {0: -1} | {one["id"]: row for row, one in enumerate(info, 1)})
    return Segments(ids[None], [one["category_id"] for one in info])


def small_pq(truth: np.ndarray, truth_info: Info, guess: np.ndarray, guess_info: Info, count: int) -> np.ndarray:
    """(C, 4) sum of IoUs, pairs, false alarms and misses of each class, as panopticapi counts them; id 0 is void."""
    table = np.zeros((count, 4))
    wanted, given = ({one["id"]: one["category_id"] for one in info} for info in (truth_info, guess_info))
    areas = dict(zip(*(column.tolist() for column in np.unique(guess, return_counts=True)), strict=True))
    codes, pixels = np.unique(truth.astype(np.uint64) * np.uint64(BASE) + guess.astype(np.uint64), return_counts=True)
    shared = {divmod(code, BASE): number for code, number in zip(codes.tolist(), pixels.tolist(), strict=True)}
    true_areas = dict.fromkeys(wanted, 0)
    for (one, _), number in shared.items():
        if one in true_areas:
            true_areas[one] += number
    found, right = set(), set()
    for (one, other), both in shared.items():
        if one in wanted and other in given and wanted[one] == given[other]:
            iou = both / (true_areas[one] + areas[other] - both - shared.get((0, other), 0))
            if iou > 0.5:
                table[wanted[one], :2] += iou, 1
                found.add(one)
                right.add(other)
    for other, category in given.items():
        if other not in right and shared.get((0, other), 0) <= areas[other] / 2:
            table[category, 2] += 1
    for one, category in wanted.items():
        table[category, 3] += one not in found
    return table


def coloured(numbers: np.ndarray, info: Info, count: int) -> torch.Tensor:
    """(1, H, W, 2) class and number of each pixel, as torchmetrics takes them; a class that it does not know is void."""
    table = {0: count} | {one["id"]: one["category_id"] for one in info}
    order = np.array(sorted(table))
    categories = np.array([table[number] for number in order])[np.searchsorted(order, numbers)]
    return torch.from_numpy(np.stack([categories, numbers], axis=-1)[None].astype(np.int64))


def some_pairs(count: int) -> tuple[ClassSet, list[tuple[np.ndarray, Info, np.ndarray, Info]]]:
    """Classes, and maps (1024, 2048) int32 of truth and of prediction with their segments."""
    root = os.environ.get("INTARSIA_DATA")
    dataset = intarsia.open_dataset(Path(root, "camvid")).split("test") if root else scenes(count, size=(256, 512))
    names = dataset.classes.names
    classes = ClassSet(names, things=tuple(name for name in names if name.lower() in THINGS) or dataset.classes.things)
    rng = np.random.default_rng(0)
    pairs = []
    for index in np.linspace(0, len(dataset) - 1, count).astype(int):
        labels = dataset[int(index)].segments.semantic(len(names)).astype(np.uint8)  # void becomes 255
        truth, info = pieces(cv2.resize(labels, SIZE[::-1], interpolation=cv2.INTER_NEAREST), classes, rng)
        guess = warped(truth, info, rng)
        pairs.append((truth, info, guess, [one for one in info if (guess == one["id"]).any()]))
    return classes, pairs


def pieces(labels: np.ndarray, classes: ClassSet, rng: np.random.Generator) -> tuple[np.ndarray, Info]:
    """(H, W) int32 with a number of 24 bits for each stuff class and each larger piece of a thing, 0 elsewhere; and their list."""
    numbers, info = np.zeros(labels.shape, np.int32), []
    for category, thing in enumerate(classes.is_thing):
        mask = (labels == category).astype(np.uint8)
        parts = cv2.connectedComponents(mask)[1] if thing else mask
        areas = np.bincount(parts.reshape(-1))
        for part in 1 + np.argsort(-areas[1:])[:6]:
            if areas[part] > 800:
                info.append({"id": int(rng.integers(1, BASE)), "category_id": category})
                numbers[parts == part] = info[-1]["id"]
    return numbers, info


def warped(truth: np.ndarray, info: Info, rng: np.random.Generator) -> np.ndarray:
    """A prediction: outlines shifted, void filled, blobs of other segments."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    shifts = [cv2.resize(rng.normal(0, 5, (32, 64)).astype(np.float32), (width, height)) for _ in range(2)]
    places = renumbered(truth, {0: 0} | {one["id"]: row for row, one in enumerate(info, 1)}).astype(np.int16)
    guess = cv2.remap(places, x + shifts[0], y + shifts[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    guess[guess == 0] = 1
    for _ in range(40):
        centre, axes = rng.integers(0, (width, height)).tolist(), rng.integers(5, 40, 2).tolist()
        cv2.ellipse(guess, centre, axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(1, len(info) + 1)), -1)
    return np.array([0, *(one["id"] for one in info)], np.int32)[guess]


if __name__ == "__main__":
    main()
