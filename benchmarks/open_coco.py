"""How long a COCO JSON of true size takes to open, how much memory, and what four forked loader workers add to it.

    python benchmarks/open_coco.py [--images 118000] [--objects 860000] [--folder FOLDER]

The file is generated, seeded: polygons of as many points as COCO's have on average; image files are empty and never read. Beside it
pycocotools opens the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

POINTS = 25
"""Corners of a polygon: COCO's 860,001 of train2017 have 26 on average."""
PEER = """
import contextlib, io, resource, sys, time
from pycocotools.coco import COCO
begin = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    COCO(sys.argv[1])
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
OURS = """
import os, resource, sys, time
begin = time.perf_counter()
from intarsia.data.open import open_dataset
data = open_dataset(sys.argv[1])
opened = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def private():
    fields = dict(line.split(":") for line in open("/proc/self/smaps_rollup").read().splitlines()[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) / 1024

added = []
for worker in range(4):
    read, write = os.pipe()
    if os.fork() == 0:
        for index in range(worker, len(data), 4):
            if index % 16 < 4:
                data.reader.segments(data.records[index])
        os.write(write, str(private()).encode())
        os._exit(0)
    added.append(float(os.read(read, 100)))
print(opened, peak, max(added))
"""


def generate(folder: Path, images: int, objects: int) -> Path:
    """A folder in COCO's layout; nothing is drawn."""
    rng = np.random.default_rng(0)
    (folder / "annotations").mkdir(parents=True)
    (folder / "train2017").mkdir()
    names = [f"{number:012d}.jpg" for number in range(images)]
    for name in names:
        (folder / "train2017" / name).touch()
    where = rng.integers(0, images, objects)
    file = folder / "annotations" / "instances_train2017.json"
    with file.open("w") as out:
        entries = [{"id": number, "file_name": name, "width": 640, "height": 480} for number, name in enumerate(names)]
        categories = [{"id": number, "name": f"class {number}"} for number in range(1, 81)]
        out.write(f'{{"info": {{}}, "images": {json.dumps(entries)}, "categories": {json.dumps(categories)}, "annotations": [')
        for number in range(objects):
            angles = np.sort(rng.uniform(0, 2 * np.pi, POINTS))
            radius, x, y = rng.uniform(5, 80), rng.uniform(90, 550), rng.uniform(90, 390)
            corners = np.round(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1).ravel(), 2).tolist()
            box = [round(x - radius, 2), round(y - radius, 2), round(2 * radius, 2), round(2 * radius, 2)]
            entry = {
                "segmentation": [corners],
                "area": round(3.1 * radius**2, 2),
                "iscrowd": 0,
                "image_id": int(where[number]),
                "bbox": box,
                "category_id": 1 + number % 80,
                "id": number + 1,
            }
            out.write(("," if number else "") + json.dumps(entry))
        out.write("]}")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--objects", type=int, default=860_000)
    parser.add_argument("--folder", type=Path, help="keeps the generated files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "coco"
        file = folder / "annotations" / "instances_train2017.json"
        if not file.exists():
            begin = perf_counter()
            generate(folder, options.images, options.objects)
            print(f"generated {options.images} images, {options.objects} objects, {file.stat().st_size / 2**20:.0f} MiB "
                  f"in {perf_counter() - begin:.0f} s")  # fmt: skip
        run = [sys.executable, "-c"]
        ours = subprocess.run([*run, OURS, folder], capture_output=True, text=True, check=True, env=dict(os.environ)).stdout.split()
        peer = subprocess.run([*run, PEER, file], capture_output=True, text=True, check=True).stdout.split()
        added = f"a forked worker adds {float(ours[2]):.0f} MiB"
        print(f"intarsia     {float(ours[0]):6.1f} s  {float(ours[1]):6.0f} MiB at the peak; {added}")
        print(f"pycocotools  {float(peer[0]):6.1f} s  {float(peer[1]):6.0f} MiB")
        print(f"ratio        {float(peer[0]) / float(ours[0]):6.1f}    {float(peer[1]) / float(ours[1]):6.1f}")


if __name__ == "__main__":
    main()
