"""What it costs to hold the objects of an image as layers of ids, and what it saves beside a stack of masks.

    python benchmarks/packing.py

Objects are those of the 32 images of $INTARSIA_DATA/coco_instances, where set, and 100 ellipses at 512x512 that overlap heavily.
Masks are checked to come back exactly.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from _rounds import medians
from intarsia.core import Segments
from intarsia.ops.packing import pack


def ellipses(seed: int = 0, count: int = 100, side: int = 512) -> np.ndarray:
    """(N, H, W) bool: radii of 12 to 60 pixels, so that a pixel lies in two of them on average."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:side, :side]
    shapes = np.concatenate([rng.uniform(0, side, (count, 2)), rng.uniform(12, 60, (count, 2))], axis=1)
    return np.stack([((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1 for y, x, height, width in shapes])


def report(name: str, stacks: list[np.ndarray], rounds: int) -> None:
    packed = [pack(masks, np.zeros(len(masks))) for masks in stacks]
    for masks, segments in zip(stacks, packed, strict=True):
        np.testing.assert_array_equal(segments.masks, masks)
    layers = np.array([len(segments.ids) for segments in packed])
    ids, whole = (sum(array.nbytes for array in arrays) / 2**20 for arrays in ([segments.ids for segments in packed], stacks))
    times = medians({
        "pack": lambda: [pack(masks, np.zeros(len(masks))) for masks in stacks],
        "masks": lambda: [segments.masks for segments in packed],
        "resize": lambda: [halved(segments) for segments in packed],
        "resize the stack": lambda: [np.ascontiguousarray(masks[:, ::2, ::2]) for masks in stacks],
    }, rounds)  # fmt: skip
    objects = sum(map(len, stacks))
    print(f"{name}: {len(stacks)} images, {objects} objects")
    print(
        f"  layers     {layers.mean():.2f} on average, at most {layers.max()}; images by layers {np.bincount(layers)[1:].tolist()}"
    )
    print(f"  bytes      {ids:.2f} MiB of ids, {whole:.2f} MiB of masks, {whole / ids:.1f} times as much")
    for step, time in times.items():
        print(f"  {step:<17}{time / len(stacks):8.3f} ms per image, {1000 * time / objects:.1f} us per object")


def halved(segments: Segments) -> Segments:
    return segments.with_ids(np.ascontiguousarray(segments.ids[:, ::2, ::2]))


def main() -> None:
    warnings.simplefilter("ignore")
    if folder := os.environ.get("INTARSIA_DATA"):
        from intarsia.data.open import open_dataset

        data = open_dataset(Path(folder) / "coco_instances")
        report("COCO", [data[index].segments.masks for index in range(len(data))], rounds=11)
    report("ellipses", [ellipses()], rounds=11)


if __name__ == "__main__":
    main()
