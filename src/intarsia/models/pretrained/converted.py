"""What a translation gives: all that rebuilds a foreign network as one of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.licences import Licences
    from intarsia.core.pixels import Pixels

__all__ = ["Converted"]


@dataclass(frozen=True, eq=False)
class Converted:
    """A network of the catalogue with the weights, class names and scaling of a foreign one."""

    model: str
    """The member of `models/`."""
    arguments: dict[str, Any]
    """Its keyword arguments beside channels, in_channels and pixels, plain enough for JSON."""
    names: tuple[str, ...]
    """The classes, by channel."""
    pixels: Pixels
    size: tuple[int, int]
    """(H, W) that the network is evaluated at."""
    state: dict[str, Tensor]
    """Every tensor of our network, under our keys."""
    licences: Licences
    source: str
    """Where the weights come from, such as torchvision:deeplabv3_resnet50."""
    task: str = "semantic"
    """What it answers; unless that is "semantic", a channel behind those of `names` says that there is nothing."""
    things: tuple[str, ...] = ()
    """The classes that are countable."""
