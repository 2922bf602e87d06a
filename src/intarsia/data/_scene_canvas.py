"""Camera and canvas of the synthetic scenes: polygons in metres become rows, materials and, at the end, light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from intarsia.data._scene_figures import Part, Rgb

__all__ = ["Camera", "Canvas", "Weather"]

SMALLEST = 12
"""Pixels below which a figure is left out: nobody could label it."""


class Camera(NamedTuple):
    """A pinhole at `height` metres over a ground that bends sideways by `bend * z**2`."""

    focal: float
    height: float
    centre: float
    horizon: float
    roll: float
    bend: float

    def project(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> NDArray[np.int32]:
        """(..., 2) pixel corners of points in metres: x right, y up from the ground, z ahead; x, y and z broadcast."""
        near = np.maximum(z, 0.7)
        scale = self.focal / near
        right = (np.asarray(x) + self.bend * near * near) * scale
        down = (self.height - np.asarray(y)) * scale
        points = np.empty((*np.broadcast(right, down).shape, 2))
        points[..., 0] = self.centre + right - self.roll * down
        points[..., 1] = self.horizon + down + self.roll * right
        corners: NDArray[np.int32] = np.rint(points.clip(-16000, 16000)).astype(np.int32)
        return corners


class Weather(NamedTuple):
    """What the light does to the whole picture, so that no colour means a class."""

    air: Rgb
    """The colour that far things fade to."""
    sight: float
    """Metres over which they fade by 1/e."""
    white: tuple[Rgb, Rgb]
    """Channel gains at the top and at the bottom."""
    gamma: float
    noise: float


class Canvas:
    """One map of materials (H, W), painted from far to near: image and truth are both read from it, so they agree to the pixel."""

    def __init__(self, size: tuple[int, int], camera: Camera, weather: Weather) -> None:
        self.camera, self.weather = camera, weather
        self.shade: NDArray[np.uint8] = np.full(size, 255, np.uint8)
        self._paint: NDArray[np.int16] = np.zeros(size, np.int16)
        self._rows: list[int] = []
        self._looks: list[tuple[float, float, float, float, float, float]] = []

    @property
    def rows(self) -> NDArray[np.int16]:
        """(H, W) the row each pixel belongs to, -1 void."""
        return np.array(self._rows, np.int16)[self._paint - 1]

    def material(self, row: int, colour: Rgb, fine: float, coarse: float, depth: float = -1.0) -> int:
        """A new material of a row; depth -1 is for what lies on the ground and fades with the pixel's height."""
        faded = -1.0 if depth < 0 else 1 - float(np.exp(-depth / self.weather.sight))
        self._rows.append(row)
        self._looks.append((*colour, fine, coarse, faded))
        return len(self._rows)

    def fill(self, material: int, polygons: Sequence[NDArray[np.int32]]) -> None:
        """Polygons (K, 2) of pixel corners."""
        cv2.fillPoly(self._paint, polygons, material)

    def darken(self, polygon: NDArray[np.int32], to: int) -> None:
        """A shadow (K, 2), made convex, on what is painted so far; figures painted later stand out of it."""
        cv2.fillConvexPoly(self.shade, cv2.convexHull(polygon), to)

    def stand(self, row: int, parts: Sequence[Part], x: float, z: float) -> tuple[tuple[slice, slice], NDArray[np.bool_]] | None:
        """Paint a figure at (x, z). Gives its window and its mask, before later ones hide it; None if out of sight or tiny."""
        counts = np.cumsum([len(part.points) for part in parts])[:-1]
        points = np.concatenate([part.points for part in parts])
        corners = self.camera.project(points[:, 0] + x, points[:, 1], z)  # (K, 2)
        height, width = self.shade.shape
        left, top = np.maximum(corners.min(axis=0), 0).tolist()
        right, bottom = np.minimum(corners.max(axis=0) + 1, (width, height)).tolist()
        if right - left < 2 or bottom - top < 2:
            return None
        local: NDArray[np.int16] = np.zeros((bottom - top, right - left), np.int16)
        for part, polygon in zip(parts, np.split(corners - np.array((left, top), np.int32), counts), strict=True):
            material = 0 if part.colour is None else self.material(row, part.colour, part.grain, part.grain, z)
            cv2.fillPoly(local, [polygon], material)
        mask = local > 0
        if np.count_nonzero(mask) < SMALLEST:
            return None
        window = slice(top, bottom), slice(left, right)
        self.shade[window][mask] = 255
        np.copyto(self._paint[window], local, where=mask)
        return window, mask

    def render(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: texture, haze, shadow, white balance, gamma, lens and sensor."""
        height, width = size = self.shade.shape
        looks = np.array(self._looks, np.float32).take(self._paint - 1, axis=0)  # (H, W, 6)
        plane = rng.standard_normal((height + 16, width + 16), np.float32)  # drawn once: each channel sees another part of it
        fine, *sensor = (plane[shift : shift + height, shift : shift + width] for shift in (0, 5, 10, 15))
        coarse = _clouds(rng, size, 12) + 0.6 * _clouds(rng, size, 4)
        light = (1 + looks[..., 3] * fine + looks[..., 4] * coarse) * (self.shade * np.float32(1 / 255))
        below = np.maximum(np.arange(height) - self.camera.horizon, 0.5)
        ground = 1 - np.exp(-self.camera.focal * self.camera.height / below / self.weather.sight)  # (H,)
        faded = np.where(looks[..., 5] < 0, ground[:, None].astype(np.float32), looks[..., 5])
        top, bottom = np.array(self.weather.white, np.float32)
        ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        white = top + (bottom - top) * ramp  # (H, 3)
        image = looks[..., :3] * (light * (1 - faded))[..., None] + np.array(self.weather.air, np.float32) * faded[..., None]
        image = cv2.GaussianBlur(np.maximum(image * white[:, None], 0), (3, 3), 0.55)
        image = cv2.pow(image, self.weather.gamma) + cv2.merge(sensor) * np.float32(self.weather.noise)
        picture: NDArray[np.uint8] = cv2.convertScaleAbs(np.maximum(image, 0), alpha=255)  # rounds, ends at 255
        return picture


def _clouds(rng: np.random.Generator, size: tuple[int, ...], cells: int) -> NDArray[Any]:
    """(H, W) smooth noise with about `cells` bumps across."""
    small = rng.standard_normal((cells, cells + cells // 3), np.float32)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
