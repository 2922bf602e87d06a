"""What stands where in a synthetic scene: sky, ground, road and houses, then the objects from far to near, then what is void."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data._scene_figures import FIGURES, Part, hue, shaded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.data._scene_canvas import Canvas
    from intarsia.data._scene_figures import Rgb

__all__ = ["STUFF", "VOID", "paint_stuff", "paint_things", "paint_void"]

STUFF = ("sky", "building", "road", "ground")
"""The classes of rows 1 to 4; things follow."""
SKY, BUILDING, ROAD, GROUND = 1, 2, 3, 4
VOID = -1

FAR = np.array([0.7, 1.5, 3, 5, 8, 12, 17, 23, 30, 40, 55, 80, 120])
"""Depths at which the bending ground is cut."""
CORNERS = np.array([(0, 1, 1, 0), (0, 0, 1, 1)])
"""The unit square, along and up."""

ASPHALT: tuple[Rgb, ...] = ((0.3, 0.3, 0.31), (0.42, 0.42, 0.42), (0.55, 0.53, 0.5), (0.38, 0.33, 0.3))
VERGE: tuple[Rgb, ...] = (
    (0.3, 0.42, 0.18),
    (0.5, 0.47, 0.26),
    (0.42, 0.34, 0.25),
    (0.52, 0.52, 0.52),
    (0.62, 0.58, 0.5),
    (0.4, 0.38, 0.37),
)
WALL: tuple[Rgb, ...] = (
    (0.55, 0.3, 0.24),
    (0.72, 0.64, 0.5),
    (0.75, 0.75, 0.74),
    (0.42, 0.42, 0.43),
    (0.35, 0.45, 0.58),
    (0.4, 0.48, 0.36),
    (0.32, 0.26, 0.22),
)
BILL: tuple[Rgb, ...] = ((0.5, 0.7, 0.95), (0.25, 0.5, 0.2), (0.75, 0.15, 0.15), (0.8, 0.7, 0.2), (0.2, 0.25, 0.6))

Thing = tuple[str, tuple[slice, slice], "NDArray[np.bool_]"]
"""Class, window and mask in the window."""


def paint_stuff(canvas: Canvas, rng: np.random.Generator, half: float) -> dict[int, float]:
    """Paint sky, ground, road and buildings; gives the distance of the building line on either side (-1 and 1)."""
    project, (height, width) = canvas.camera.project, canvas.shade.shape
    zenith = hue(rng, canvas.weather.air, spread=0.1)
    whole = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.int32)
    canvas.fill(canvas.material(SKY, zenith, 0.01, rng.uniform(0.01, 0.09), 1), [whole])

    def strip(left: float, right: float, z: NDArray[Any] = FAR) -> NDArray[np.int32]:
        return project(np.repeat((left, right), len(z)), 0, np.concatenate([z, z[::-1]]))

    lane = hue(rng, *ASPHALT)
    for side in (-1, 1):
        verge = canvas.material(GROUND, hue(rng, *VERGE, spread=0.15), rng.uniform(0.03, 0.16), rng.uniform(0.04, 0.12))
        canvas.fill(verge, [strip(0, side * 400)])
    walls = {}
    for side in (-1, 1):
        kerb = half + rng.uniform(1.2, 3.0)
        canvas.fill(canvas.material(GROUND, hue(rng, lane, *VERGE, spread=0.1), 0.05, 0.05), [strip(side * half, side * kerb)])
        stone = canvas.material(GROUND, hue(rng, (0.6, 0.6, 0.58)), 0.03, 0.03)
        canvas.fill(stone, [strip(side * half, side * (half + 0.2))])
        walls[side] = kerb + rng.uniform(0.1, 5)
    canvas.fill(canvas.material(ROAD, lane, rng.uniform(0.03, 0.09), rng.uniform(0.04, 0.1)), [strip(-half, half)])
    for _ in range(int(rng.integers(0, 4))):  # repaired patches
        x, z = rng.uniform(-half, half - 1.5), rng.uniform(3, 18)
        patch = strip(x, min(x + rng.uniform(0.6, 2), half), np.array([z, z + rng.uniform(0.6, 5)]))
        canvas.fill(canvas.material(ROAD, hue(rng, lane, spread=0.12), 0.05, 0.05), [patch])
    dash = rng.uniform(1.5, 4)
    marks = [strip(-0.08, 0.08, np.array([z, z + dash])) for z in rng.uniform(1, 4) + 2.2 * dash * np.arange(8)]
    marks += [strip(edge - 0.07, edge + 0.07) for edge in (0.3 - half, half - 0.3) if rng.random() < 0.5]
    if rng.random() < 0.25:  # a zebra crossing
        near = rng.uniform(4, 14)
        marks += [strip(x, x + 0.5, np.array([near, near + 3])) for x in np.arange(-half + 0.3, half - 0.5, 1.0)]
    canvas.fill(canvas.material(ROAD, hue(rng, (0.85, 0.85, 0.85), (0.8, 0.7, 0.25)), 0.04, 0.05), marks)
    for side in (-1, 1):
        if rng.random() < 0.8:
            _street(canvas, rng, side, half, walls[side])
        else:
            walls[side] += 14
    return walls


def _street(canvas: Canvas, rng: np.random.Generator, side: int, half: float, wall: float) -> None:
    """A row of houses along one side, from far to near, and the shadow they may throw on the ground."""
    project = canvas.camera.project
    if rng.random() < 0.4:
        reach, z = side * (wall - rng.uniform(1, 1.2 * half)), np.array([0.7, 90, 90, 0.7])
        canvas.darken(project([side * wall, side * wall, reach, reach], 0, z), int(rng.integers(110, 190)))
    fronts = np.cumsum(rng.uniform(6, 15, 9)) + rng.uniform(-8, 3)
    for near, beyond in zip(fronts[-2::-1].tolist(), fronts[:0:-1].tolist(), strict=True):
        if rng.random() < 0.15 or beyond < 1.5:
            continue
        near, tall, deep = max(near, 0.8), rng.uniform(3.5, 15), rng.uniform(4, 10)
        x, colour, grain, depth = side * (wall + rng.uniform(0, 1.2)), hue(rng, *WALL), rng.uniform(0.02, 0.1), (near + beyond) / 2
        flank = [project(CORNERS[0] * side * deep + x, CORNERS[1] * tall, near)]
        if rng.random() < 0.4:  # a gable
            flank.append(project(np.array([0, 0.5, 1]) * side * deep + x, [tall, tall + deep * 0.35, tall], near))
        canvas.fill(canvas.material(BUILDING, shaded(colour, rng.uniform(0.6, 1.1)), grain, 0.05, near), flank)
        face = project(x, CORNERS[1] * tall, near + CORNERS[0] * (beyond - near))
        canvas.fill(canvas.material(BUILDING, colour, grain, 0.05, depth), [face])
        step, storey = rng.uniform(1.8, 3.5), rng.uniform(2.4, 3.4)
        z, y = np.meshgrid(np.arange(near + 0.6, beyond - 1, step), np.arange(1.0, tall - 1.5, storey))
        panes = project(x, y.reshape(-1, 1) + CORNERS[1] * storey * 0.5, z.reshape(-1, 1) + CORNERS[0] * step * 0.45)  # (K, 4, 2)
        glass = hue(rng, (0.15, 0.17, 0.2), canvas.weather.air, (0.75, 0.65, 0.4))
        canvas.fill(canvas.material(BUILDING, glass, 0.05, 0.1, depth), list(panes))
        if rng.random() < 0.3 and beyond - near > 4:  # a poster in the colour of sky, leaves or cars
            poster = project(x, rng.uniform(0.6, 2.2) + CORNERS[1] * 1.8, rng.uniform(near, beyond - 3) + CORNERS[0] * 2.5)
            canvas.fill(canvas.material(BUILDING, hue(rng, *BILL), 0.04, 0.15, depth), [poster])


def paint_things(canvas: Canvas, rng: np.random.Generator, half: float, walls: dict[int, float]) -> list[Thing]:
    """Paint the objects from far to near: class, window and mask before occlusion of each."""
    stands: list[tuple[float, float, str]] = []
    for name, low, high, near in (("tree", 1, 7, 5.0), ("car", 1, 6, 5.5), ("person", 1, 7, 3.5), ("sign", 1, 5, 3.5)):
        for _ in range(int(rng.integers(low, high))):
            z = 1 / rng.uniform(1 / 45, 1 / near)  # even over the picture, not over the ground
            side = int(rng.choice((-1, 1)))
            if name == "car" or (name == "person" and rng.random() < 0.25):
                x = rng.uniform(0.8, half - 0.7)
            elif name == "sign":
                x = half + rng.uniform(0.3, 0.8)
            else:
                x = rng.uniform(half + 0.4, max(walls[side] - 0.6, half + 0.8))
            stands.append((z, side * x, name))
    things: list[Thing] = []
    for z, x, name in sorted(stands, reverse=True):
        parts = FIGURES[name](rng)
        foot = np.concatenate([part.points[part.points[:, 1] < 0.6] for part in parts])
        if len(foot):  # the shadow at its feet
            low, high = foot[:, 0].min() - 0.15, foot[:, 0].max() + 0.25
            canvas.darken(canvas.camera.project(x + np.array([low, high, high, low]), 0, z + np.array([-0.2, -0.2, 1.5, 1.5])), 120)
        stood = canvas.stand(len(things) + 5, parts, x, z)
        if stood:
            things.append((name, *stood))
    return things


def paint_void(canvas: Canvas, rng: np.random.Generator) -> None:
    """Void: a bin or crate nobody labelled, the bonnet of the camera's own car, a dark border."""
    height, width = canvas.shade.shape
    if rng.random() < 0.4:
        wide, tall = rng.uniform(0.2, 0.5), rng.uniform(0.6, 1.3)
        crate = np.array([(-wide, 0), (wide, 0), (wide * 1.15, tall), (-wide * 1.15, tall)])
        colour, lid = hue(rng, *BILL, *ASPHALT), crate * (1.1, 0.12) + (0, tall)
        canvas.stand(VOID, [Part(crate, colour, 0.06), Part(lid, shaded(colour, 0.7))], rng.uniform(-6, 6), rng.uniform(3, 9))
    if rng.random() < 0.35:
        across = np.linspace(-0.1, 1.1, 13)
        bulge = height * (1 - rng.uniform(0.05, 0.11) * (1 - (2 * across - 1) ** 2))
        bonnet = np.stack([across * width, bulge], axis=1)  # (13, 2)
        colour = hue(rng, (0.1, 0.1, 0.12), (0.6, 0.6, 0.62), (0.5, 0.1, 0.1))
        canvas.fill(canvas.material(VOID, colour, 0.01, 0.06, 0), [np.rint(bonnet).astype(np.int32)])
    if rng.random() < 0.25:
        band = max(1, round(width * rng.uniform(0.006, 0.02)))
        left = np.array([(0, 0), (band - 1, 0), (band - 1, height), (0, height)], np.int32)
        right = left * np.array((-1, 1), np.int32) + np.array((width - 1, 0), np.int32)
        canvas.fill(canvas.material(VOID, (0.02, 0.02, 0.02), 0, 0, 0), [left, right])
