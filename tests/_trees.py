"""Builders of small data folders for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from intarsia.core import ClassSet, Sample, Segments
from intarsia.data.images import write_image, write_labels

CAMVID_32 = [
    "Animal", "Archway", "Bicyclist", "Bridge", "Building", "Car", "CartLuggagePram", "Child", "Column_Pole", "Fence",
    "LaneMkgsDriv", "LaneMkgsNonDriv", "Misc_Text", "MotorcycleScooter", "OtherMoving", "ParkingBlock", "Pedestrian",
    "Road", "RoadShoulder", "Sidewalk", "SignSymbol", "Sky", "SUVPickupTruck", "TrafficCone", "TrafficLight", "Train",
    "Tree", "Truck_Bus", "Tunnel", "VegetationMisc", "Void", "Wall",
]  # fmt: skip
"""The 32 names of the CamVid release, in the order of its ids: Tree is 26, Void 30."""


def picture(seed: int, size: tuple[int, int] = (12, 16), channels: int = 3, dtype: str = "uint8") -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return (rng.random((*size, channels)) * (250 if dtype == "uint8" else 30000)).astype(dtype)


def mask(seed: int, top: int = 3, size: tuple[int, int] = (12, 16)) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, top, size).astype(np.uint8)


def sample(seed: int, classes: int = 3, *, void: bool = True, nothing: bool = False, **image: Any) -> Sample:
    """A sample of blocky random classes, some void, perhaps some nothing."""
    img = picture(seed, **image)
    labels = mask(seed, classes + nothing, img.shape[:2]).astype(np.int16)
    if void:
        labels[:2, :5] = -1
    return Sample(img, Segments.from_semantic(labels, classes), key=f"s{seed}")


def mask_tree(
    root: Path, names: tuple[str, ...] = ("a", "b", "c"), *, masks: str = "masks", classes: str = "sky\nroad\ncar\n"
) -> Path:
    """A flat mask_folder: images/NAME.png, masks/NAME.png, codes.txt."""
    for seed, name in enumerate(names):
        write_image(root / "images" / f"{name}.png", picture(seed))
        write_labels(root / masks / f"{name}.png", mask(seed))
    (root / "codes.txt").write_text(classes)
    return root


def camvid_tree(
    root: Path, names: tuple[str, ...] = ("0001TP_006690", "0006R0_f00930", "Seq05VD_f00000"), *, kind: str = "_P"
) -> Path:
    """The 32-class layout: ids (`_P`) or colours (`_L`), the last image in valid.txt."""
    colours = [((37 * n) % 256, (91 * n) % 256, (53 * n + 11) % 256) for n in range(32)]
    for seed, name in enumerate(names):
        ids = mask(seed, 32)
        write_image(root / "images" / f"{name}.png", picture(seed))
        if kind == "_P":
            write_labels(root / "labels" / f"{name}_P.png", ids)
        else:
            write_image(root / "labels" / f"{name}_L.png", np.array(colours, np.uint8)[ids])
    lines = [f"{r} {g} {b}\t{name}" for name, (r, g, b) in zip(CAMVID_32, colours, strict=True)]
    (root / "label_colors.txt").write_text("\n".join(lines) + "\n")
    if kind == "_P":
        (root / "codes.txt").write_text("\n".join(CAMVID_32) + "\n")
    (root / "valid.txt").write_text(f"{names[-1]}.png\n")
    return root


def write_jpeg(path: Path, image: np.ndarray[Any, Any], keep: float = 1.0) -> Path:
    """A JPEG of which only the first share of bytes is kept."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[: int(len(data) * keep)])
    return path


ROADS = ClassSet(("sky", "road", "car"), things=("car",))
