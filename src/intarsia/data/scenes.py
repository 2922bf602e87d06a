"""Synthetic street scenes with exact semantic, instance and panoptic truth, for the demo, the tests and first steps.

Colour alone does not tell the classes apart: palette, light, haze and white balance change from picture to picture and cars, walls,
clothes and leaves share their colours. Shape, texture and place do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import OptionError
from intarsia.data._scene_canvas import Camera, Canvas, Weather
from intarsia.data._scene_figures import hue
from intarsia.data._scene_layout import STUFF, VOID, paint_stuff, paint_things, paint_void
from intarsia.data.dataset import Dataset
from intarsia.data.records import Record, pixels
from intarsia.ops.packing import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from intarsia.data._scene_figures import Rgb

__all__ = ["CLASSES", "scene", "scenes"]

CLASSES = ClassSet(
    names=("sky", "building", "road", "ground", "tree", "car", "person", "sign"),
    colours=(
        (120, 190, 235),
        (125, 110, 100),
        (128, 64, 128),
        (190, 215, 130),
        (50, 130, 50),
        (25, 70, 215),
        (225, 40, 60),
        (245, 200, 20),
    ),
    things=("tree", "car", "person", "sign"),
)

AIR: tuple[Rgb, ...] = ((0.45, 0.66, 0.95), (0.78, 0.8, 0.83), (0.92, 0.66, 0.5), (0.4, 0.44, 0.55), (0.58, 0.6, 0.62))


def scene(seed: int, index: int, size: tuple[int, int] = (120, 160), *, amodal: bool = False) -> Sample:
    """Picture `index` of the series `seed`: image (H, W, 3) uint8, one row per object and one per kind of stuff.

    The rows run from far to near, so a later row hides an earlier one. By default they are a partition (L = 1). With `amodal` each
    row keeps the pixels that nearer objects hide (L > 1): the same rows, the same image, and `semantic()` stays the same.

    The same seed and index give the same picture everywhere, but for single pixels of an outline between releases of OpenCV.

    >>> sample = scene(seed=0, index=3)
    >>> sample.key, sample.image.shape, len(sample.segments.ids)
    ('scene_00003', (120, 160, 3), 1)
    """
    rng = np.random.default_rng((seed, index))
    canvas = Canvas(size, _camera(rng, size), _weather(rng))
    half = rng.uniform(3.0, 5.0)
    walls = paint_stuff(canvas, rng, half)
    bare = canvas.rows
    things = paint_things(canvas, rng, half, walls)
    paint_void(canvas, rng)
    rows = canvas.rows
    classes = np.array([CLASSES.index(name) for name in (*STUFF, *(name for name, _, _ in things))])
    keep = np.isin(np.arange(1, len(classes) + 1), rows)
    if amodal:
        masks = np.zeros((len(classes), *size), np.bool_)  # (N, H, W)
        masks[: len(STUFF)] = bare == np.arange(1, len(STUFF) + 1)[:, None, None]
        for mask, (_, window, pixels) in zip(masks[len(STUFF) :], things, strict=True):
            mask[window] = pixels
        void = rows == VOID
        segments = pack(masks[keep], classes[keep], void=void)
    else:
        segments = Segments(rows[None], classes).select(keep)
    return Sample(canvas.render(rng), segments, key=_key(index), classes=CLASSES)


def scenes(
    count: int, *, seed: int = 0, size: tuple[int, int] = (120, 160), amodal: bool = False, val: float = 0.15, test: float = 0.15
) -> Dataset:
    """A data set of the first `count` pictures of the series `seed`, each drawn when asked for; the last shares are val and test.

    Raises OptionError where a picture is asked for that cannot be drawn, or no picture is left to train on.

    >>> data = scenes(20, seed=1)
    >>> data
    Dataset(scenes: 20 images (train 14, val 3, test 3), 8 classes)
    >>> data.split("test").keys
    ['scene_00017', 'scene_00018', 'scene_00019']
    """
    held, tested = round(count * val), round(count * test)
    trained = count - held - tested
    if min(val, test) < 0 or trained < 1:
        raise OptionError("scenes", expected="some pictures left for training", received=f"{count} with val={val}, test={test}")
    if min(size) < 16:
        raise OptionError("scenes size", expected="at least 16 x 16 pixels", received=size)
    splits = ["train"] * trained + ["val"] * held + ["test"] * tested
    records = [Record(_key(index), split=split) for index, split in enumerate(splits)]
    data = Dataset(records, CLASSES, SceneReader(seed, size, amodal), name="scenes", format="scenes")
    data.licence = "none"  # drawn, not taken
    return data


@dataclass(frozen=True)
class SceneReader:
    """Draws the picture that a record names."""

    seed: int
    size: tuple[int, int]
    amodal: bool = False

    def image(self, record: Record) -> NDArray[Any]:
        """(H, W, 3) uint8."""
        return self._scene(record).image

    def segments(self, record: Record) -> Segments | None:
        """The exact truth."""
        return self._scene(record).segments

    def grid(self, record: Record) -> dict[str, Any]:
        """Nothing: a picture in perspective has no scale."""
        return {}

    def content(self, record: Record) -> Iterator[bytes]:
        """All pixels."""
        return pixels(self._scene(record))

    def _scene(self, record: Record) -> Sample:
        return scene(self.seed, int(record.key.rpartition("_")[2]), self.size, amodal=self.amodal)


def _key(index: int) -> str:
    return f"scene_{index:05d}"


def _camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    height, width = size
    return Camera(
        focal=width * rng.uniform(0.8, 1.2),
        height=rng.uniform(1.4, 2.3),
        centre=width * rng.uniform(0.38, 0.62),
        horizon=height * rng.uniform(0.36, 0.52),
        roll=rng.uniform(-0.04, 0.04),
        bend=rng.uniform(-0.0025, 0.0025),
    )


def _weather(rng: np.random.Generator) -> Weather:
    air = hue(rng, *AIR)
    gain = rng.uniform(0.55, 1.15)
    top, bottom = (tuple((gain * rng.uniform(0.8, 1.2) * rng.uniform(0.85, 1.15, 3)).tolist()) for _ in range(2))
    return Weather(air, rng.uniform(35, 160), (top, bottom), rng.uniform(0.75, 1.35), rng.uniform(0.01, 0.035))
