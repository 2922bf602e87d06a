"""The default pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.transforms._compose import Compose
from intarsia.transforms.brightness import Brightness
from intarsia.transforms.contrast import Contrast
from intarsia.transforms.copy_paste import CopyPaste
from intarsia.transforms.flip import Flip
from intarsia.transforms.mosaic import Mosaic
from intarsia.transforms.rare_crop import RareCrop
from intarsia.transforms.resize import Resize
from intarsia.transforms.rotation import Rotation
from intarsia.transforms.saturation import Saturation
from intarsia.transforms.scale_and_crop import ScaleAndCrop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intarsia.core import Sample
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
    copy_paste: float = 0.0,
    mosaic: float = 0.0,
) -> Compose:
    """The picture at a random scale, cut or padded to `size`, flipped, turned by up to `rotation` degrees, and recoloured.

    `base` is the whole picture's size at scale 1, None for its own. Brightness, contrast and saturation each change by up to the
    share `colour`. With the probability `rare` the picture is cut around a pixel of a class, drawn by `chances` (see RareCrop).
    Before it is recoloured it becomes one corner of a `mosaic` with that probability, and has objects pasted in with the
    probability `copy_paste`; the pictures these take from are scaled, cut, flipped and turned the same way.

    >>> [type(step).__name__ for step in training((360, 480), colour=0.0).transforms]
    ['ScaleAndCrop', 'Flip']
    """
    cut = RareCrop(size, scale, base, rare, chances) if rare else ScaleAndCrop(size, scale, base)
    moves: list[Planned] = [cut]
    if flip:
        moves.append(Flip(flip))
    if rotation:
        moves.append(Rotation(rotation))
    steps: list[Callable[..., Sample]] = [*moves]
    if mosaic:
        steps.append(Mosaic(mosaic, prepare=Compose(tuple(moves))))
    if copy_paste:
        steps.append(CopyPaste(copy_paste, prepare=Compose(tuple(moves))))
    if colour:
        steps += [Brightness(colour), Contrast(colour), Saturation(colour)]
    return Compose(tuple(steps))


def evaluation(size: tuple[int, ...] | None = None) -> Compose:
    """Nothing, or the whole picture resized to `size`.

    >>> evaluation().transforms
    ()
    """
    return Compose(() if size is None else (Resize(size),))
