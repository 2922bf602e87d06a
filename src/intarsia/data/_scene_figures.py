"""The figures of the synthetic scenes: cars, people, trees and signs as polygons, in metres, upright on the ground.

A figure is a list of parts painted in order. A part without a colour cuts a hole through what was painted so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["FIGURES", "Part", "Rgb", "hue", "shaded"]

Rgb = tuple[float, float, float]

TURN = np.linspace(0, 2 * np.pi, 13)[:-1]
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)  # (12, 2)
DARK, GLASS = (0.06, 0.06, 0.07), (0.22, 0.27, 0.31)


class Part(NamedTuple):
    """One polygon (K, 2) of (x, y) metres, y up; the colour 0..1, None for a hole; how strong its texture is."""

    points: NDArray[np.float64]
    colour: Rgb | None
    grain: float = 0.05


def hue(rng: np.random.Generator, *bases: Rgb, spread: float = 0.12) -> Rgb:
    """One of the base colours, brightened or darkened and tinted."""
    red, green, blue = bases[int(rng.integers(len(bases)))]
    gain = 1 + rng.uniform(-2, 2) * spread
    tint = rng.uniform(-spread, spread, 3) * 0.5
    return max(red * gain + tint[0], 0.02), max(green * gain + tint[1], 0.02), max(blue * gain + tint[2], 0.02)


def shaded(colour: Rgb, gain: float) -> Rgb:
    """The colour in more or less light."""
    red, green, blue = colour
    return red * gain, green * gain, blue * gain


def car(rng: np.random.Generator) -> list[Part]:
    """Seen from behind or from the side; some windows are see-through, others tinted."""
    paint = hue(
        rng,
        (0.8, 0.8, 0.8),
        (0.1, 0.1, 0.11),
        (0.4, 0.4, 0.42),
        (0.6, 0.1, 0.1),
        (0.15, 0.3, 0.6),
        (0.2, 0.4, 0.2),
        (0.6, 0.5, 0.2),
    )
    clear = rng.random() < 0.6
    pane = None if clear else hue(rng, GLASS)
    return (_car_side if rng.random() < 0.45 else _car_back)(rng, paint, pane)


def person(rng: np.random.Generator) -> list[Part]:
    """Legs apart or together, arms that may leave a gap to the body."""
    tall = rng.uniform(1.45, 1.9) / 1.75
    any_colour = (
        (0.7, 0.2, 0.2),
        (0.2, 0.3, 0.6),
        (0.75, 0.75, 0.7),
        (0.12, 0.12, 0.14),
        (0.3, 0.5, 0.25),
        (0.5, 0.5, 0.5),
        (0.8, 0.7, 0.2),
    )
    top, legs = hue(rng, *any_colour), hue(rng, *any_colour)
    skin = hue(rng, (0.75, 0.55, 0.42), (0.5, 0.34, 0.24), (0.3, 0.2, 0.15))
    hair = hue(rng, (0.1, 0.07, 0.05), (0.45, 0.3, 0.15), (0.5, 0.5, 0.5))
    stride, lean = rng.uniform(0.05, 0.38), rng.uniform(-0.06, 0.06)
    elbow = rng.uniform(0.3, 0.46)
    parts = [
        Part(_points((-stride, 0), (-stride + 0.16, 0), (0.03, 0.85), (-0.17, 0.85)), legs),
        Part(_points((stride, 0), (stride - 0.16, 0), (-0.03, 0.85), (0.17, 0.85)), legs),
        Part(_points((-stride - 0.02, 0), (-stride + 0.24, 0), (-stride + 0.14, 0.09), (-stride, 0.09)), DARK),
        Part(_points((stride - 0.16, 0), (stride + 0.1, 0), (stride, 0.09), (stride - 0.14, 0.09)), DARK),
        *(
            Part(
                _points(
                    (s * 0.2, 1.42), (s * elbow, 1.1), (s * 0.2, 0.82), (s * 0.14, 0.88), (s * (elbow - 0.11), 1.1), (s * 0.1, 1.36)
                ),
                top,
            )
            for s in (-1, 1)
        ),
        Part(_points((-0.18, 0.82), (0.18, 0.82), (0.23, 1.42), (0.1, 1.48), (-0.1, 1.48), (-0.23, 1.42)), top),
        Part(_round(lean, 1.62, 0.115, 0.15), skin, 0.02),
        Part(_round(lean, 1.68, 0.12, 0.1), hair, 0.02),
    ]
    return [part._replace(points=part.points * tall) for part in parts]


def tree(rng: np.random.Generator) -> list[Part]:
    """A broad crown with gaps, or a conifer; green, autumnal, in blossom or bare grey."""
    leaf = hue(
        rng, (0.2, 0.36, 0.14), (0.3, 0.42, 0.18), (0.14, 0.26, 0.16), (0.55, 0.35, 0.12), (0.45, 0.2, 0.12), (0.4, 0.4, 0.36)
    )
    bark = hue(rng, (0.25, 0.18, 0.13), (0.4, 0.37, 0.33))
    tall, thick = rng.uniform(3.5, 8), rng.uniform(0.12, 0.22)
    parts = [Part(_points((-thick, 0), (thick, 0), (thick * 0.6, tall * 0.6), (-thick * 0.6, tall * 0.6)), bark, 0.12)]
    if rng.random() < 0.25:
        width = tall * rng.uniform(0.18, 0.28)
        for low in (0.15, 0.36, 0.57):
            half, top = width * (1.15 - low), min(low + 0.42, 1)
            shape = _points((-half, tall * low), (half, tall * low), (half * 0.25, tall * top), (-half * 0.25, tall * top))
            parts.append(Part(shape, shaded(leaf, 0.85 + 0.3 * low), 0.22))
        return parts
    spread, middle = tall * rng.uniform(0.22, 0.34), tall * 0.68
    blobs = int(rng.integers(6, 10))
    angles, radii = rng.uniform(0, 2 * np.pi, blobs), rng.uniform(0.35, 0.8, blobs)
    for angle, radius in zip(angles, radii, strict=True):  # a ring of blobs about the middle one
        x, y = np.cos(angle) * spread * 0.75, middle + np.sin(angle) * spread * 0.75
        parts.append(Part(_ragged(rng, x, y, spread * radius), shaded(leaf, 0.95 + 0.25 * float(np.sin(angle))), 0.25))
    parts.append(Part(_ragged(rng, 0, middle, spread * 0.8), leaf, 0.25))
    gaps = int(rng.integers(2, 6))
    for x, y, radius in rng.uniform((-0.8, -0.7, 0.06), (0.8, 0.8, 0.17), (gaps, 3)):
        parts.append(Part(_ragged(rng, x * spread, middle + y * spread, spread * radius), None))
    return parts


def sign(rng: np.random.Generator) -> list[Part]:
    """A traffic sign or a lamp on a thin post, which splits what stands behind it."""
    metal = hue(rng, (0.45, 0.45, 0.45), (0.2, 0.22, 0.2), (0.6, 0.6, 0.58))
    tall = rng.uniform(2.2, 3.2)
    if rng.random() < 0.3:  # a lamp with an arm
        tall, arm = tall * 2, rng.choice((-1.2, 1.2))
        head = _points((arm * 0.7, tall - 0.18), (arm, tall - 0.18), (arm, tall), (arm * 0.7, tall))
        bar = _points((0, tall - 0.1), (arm, tall - 0.1), (arm, tall), (0, tall))
        return [Part(_box(0, 0.08, 0, tall), metal), Part(bar, metal), Part(head, (0.8, 0.8, 0.7))]
    face, rim = hue(rng, (0.85, 0.85, 0.85), (0.15, 0.3, 0.65), (0.75, 0.65, 0.15)), hue(rng, (0.7, 0.1, 0.1), (0.85, 0.85, 0.85))
    corners = int(rng.choice((3, 4, 12)))
    turn = TURN[:: 12 // corners] + (np.pi / 2 if corners == 3 else np.pi / 4)
    plate = np.stack([np.cos(turn), np.sin(turn)], axis=1) * rng.uniform(0.32, 0.46)  # (corners, 2)
    middle = np.array([0, tall])
    return [Part(_box(0, 0.05, 0, tall), metal), Part(plate + middle, rim, 0.02), Part(plate * 0.68 + middle, face, 0.02)]


FIGURES: dict[str, Callable[[np.random.Generator], list[Part]]] = {"tree": tree, "car": car, "person": person, "sign": sign}


def _car_side(rng: np.random.Generator, paint: Rgb, pane: Rgb | None) -> list[Part]:
    """About 4.3 m long; a saloon, or a van with a high roof."""
    way = rng.choice((-1.0, 1.0))
    roof = 2.0 if rng.random() < 0.2 else rng.uniform(1.38, 1.55)
    back = -1.95 if roof > 1.9 else -1.45
    body = _points((-2.1, 0.28), (2.1, 0.28), (2.15, 0.7), (1.25, 0.92), (0.6, roof), (back, roof), (-2.0, 0.95), (-2.15, 0.6))
    front = _points((0.08, 0.95), (1.0, 0.95), (0.5, roof - 0.12), (0.08, roof - 0.12))
    rear = _points((-0.08, 0.95), (-0.08, roof - 0.12), (back + 0.15, roof - 0.12), (-1.7, 0.95))
    parts = [Part(body, paint), Part(_box(0, 2.1, 0.28, 0.48), shaded(paint, 0.6)), Part(front, pane, 0.02), Part(rear, pane, 0.02)]
    if rng.random() < 0.6:
        parts.append(Part(_round(0.45, 1.05, 0.11, 0.15), (0.5, 0.36, 0.28)))  # a driver, who is part of the car
    parts += [Part(_round(x, 0.33, 0.34, 0.33), DARK, 0.02) for x in (-1.35, 1.35)]
    parts += [Part(_round(x, 0.33, 0.16, 0.16), (0.5, 0.5, 0.5), 0.02) for x in (-1.35, 1.35)]
    return [part._replace(points=part.points * (way, 1.0)) for part in parts]


def _car_back(rng: np.random.Generator, paint: Rgb, pane: Rgb | None) -> list[Part]:
    """About 1.8 m wide, from behind or from the front."""
    roof = rng.uniform(1.38, 2.0)
    lights = (0.7, 0.08, 0.06) if rng.random() < 0.6 else (0.95, 0.95, 0.85)
    cabin = _points((-0.82, 0.9), (0.82, 0.9), (0.64, roof), (-0.64, roof))
    window = _points((-0.66, 0.97), (0.66, 0.97), (0.54, roof - 0.12), (-0.54, roof - 0.12))
    parts = [Part(_box(x, 0.12, 0, 0.5), DARK, 0.02) for x in (-0.68, 0.68)]
    parts += [Part(cabin, shaded(paint, 0.9)), Part(window, pane, 0.02), Part(_box(0, 0.9, 0.25, 0.95), paint)]
    parts += [Part(_box(x, 0.14, 0.68, 0.86), lights, 0.02) for x in (-0.72, 0.72)]
    parts += [Part(_box(0, 0.88, 0.25, 0.42), shaded(paint, 0.55)), Part(_box(0, 0.26, 0.48, 0.62), (0.8, 0.8, 0.75), 0.02)]
    if pane is None:
        parts += [Part(_round(x, 0.98, 0.12, 0.16), (0.12, 0.12, 0.13)) for x in (-0.32, 0.32)]  # head rests
    return parts


def _points(*corners: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(corners, np.float64)


def _box(x: float, half: float, low: float, high: float) -> NDArray[np.float64]:
    return _points((x - half, low), (x + half, low), (x + half, high), (x - half, high))


def _round(x: float, y: float, across: float, up: float) -> NDArray[np.float64]:
    return CIRCLE * (across, up) + (x, y)


def _ragged(rng: np.random.Generator, x: float, y: float, radius: float) -> NDArray[np.float64]:
    return CIRCLE * (radius * rng.uniform(0.75, 1.2, (12, 1))) + (x, y)
