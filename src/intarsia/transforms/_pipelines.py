"""The default pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.transforms._compose import Compose
from intarsia.transforms.brightness import Brightness
from intarsia.transforms.contrast import Contrast
from intarsia.transforms.flip import Flip
from intarsia.transforms.rare_crop import RareCrop
from intarsia.transforms.resize import Resize
from intarsia.transforms.rotation import Rotation
from intarsia.transforms.saturation import Saturation
from intarsia.transforms.scale_and_crop import ScaleAndCrop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.transforms._plan import Planned

__all__ = ["evaluation", "training"]


def training(
    size: tuple[int, ...],
    *,
    scale: tuple[float, float] = (0.5, 2.0),
    base: tuple[int, ...] | None = None,
    flip: float = 0.5,
    rotation: float = 0.0,
    colour: float = 0.3,
    rare: float = 0.0,
    chances: Sequence[float] | None = None,
) -> Compose:
    """The picture at a random scale, cut or padded to `size`, flipped, turned by up to `rotation` degrees, and recoloured.

    `base` is the whole picture's size at scale 1, None for its own. Brightness, contrast and saturation each change by up to the
    share `colour`. With the probability `rare` the picture is cut around a pixel of a class, drawn by `chances` (see RareCrop).

    >>> [type(step).__name__ for step in training((360, 480), colour=0.0).transforms]
    ['ScaleAndCrop', 'Flip']
    """
    cut = RareCrop(size, scale, base, rare, chances) if rare else ScaleAndCrop(size, scale, base)
    steps: list[Planned] = [cut]
    if flip:
        steps.append(Flip(flip))
    if rotation:
        steps.append(Rotation(rotation))
    if colour:
        steps += [Brightness(colour), Contrast(colour), Saturation(colour)]
    return Compose(tuple(steps))


def evaluation(size: tuple[int, ...] | None = None) -> Compose:
    """Nothing, or the whole picture resized to `size`.

    >>> evaluation().transforms
    ()
    """
    return Compose(() if size is None else (Resize(size),))
