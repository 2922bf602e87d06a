"""Going on from a trained network: its encoder and decoder as they are, its scoring layers fitted to other classes by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from intarsia import __version__
from intarsia.core import Pixels
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.core.licences import joined
from intarsia.engine.recipe import spoken
from intarsia.engine.sources import network_from
from intarsia.models.encoders.weights import adapted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from intarsia.core import ClassSet, Sample
    from intarsia.data.dataset import Dataset
    from intarsia.engine.options import TrainOptions
    from intarsia.engine.recipe import Recipe

__all__ = ["Source", "carry_over", "source_of"]

RGB = 3
"""The channels of images that networks are mostly pretrained on."""


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network to go on from."""

    name: str
    network: nn.Module
    recipe: Recipe

    def recipe_for(self, first: Sample, data: Dataset, options: TrainOptions) -> Recipe:
        """How the network that goes on is made: as the source was, for the classes and the size of the data.

        It keeps the scaling of pixels that its weights expect unless mean and std are given. A network for RGB goes on with any
        number of channels. Raises OptionError where another number differs from that of the images, or the options name another
        model.
        """
        old, channels = self.recipe, first.image.shape[-1]
        if channels != old.in_channels != RGB:
            expected = f"a network for images of {channels} channels, or of {RGB}, which is fitted"
            raise OptionError("--start-from", expected=expected, received=old.in_channels)
        if options.model not in (None, old.model):
            raise OptionError("--model", expected=f"{old.model}, which {self.name} is, or none", received=options.model)
        pixels = old.pixels
        if options.mean is not None and options.std is not None:
            pixels = Pixels(mean=options.mean, std=options.std)
        origin = {"data": data.name, "data_hash": data.fingerprint(), "intarsia": __version__}
        return replace(
            old,
            classes=spoken(old.model, data.classes),
            pixels=pixels.for_image(first.image),
            in_channels=channels,
            size=options.size or first.image.shape[:-1],
            origin={**origin, "start_from": self.name, "start_origin": old.origin},
            licences=replace(old.licences, data=joined(old.licences.data, data.licence)),
        )

    def told(self, classes: ClassSet) -> str:
        """What is carried over, in one line."""
        fresh = [name for name in classes.names if name not in self.recipe.classes.index_of]
        known = f"{len(classes) - len(fresh)} of {len(classes)} classes are known by name"
        return f"starting from {self.name}: {known}" + (f"; new: {', '.join(fresh)}" if fresh else "")


def source_of(options: TrainOptions) -> Source | None:
    """The network that `options.start_from` names, on the CPU; or None. Raises CheckpointError where there is none."""
    if options.start_from is None:
        return None
    network, recipe = network_from(options.start_from)
    return Source(options.start_from, network, recipe)


def carry_over(old: nn.Module, known: ClassSet, new: nn.Module, classes: ClassSet, in_channels: int = RGB) -> None:
    """Puts the weights of `old`, trained for the classes `known`, into `new`, made in the same way for `classes` and images of
    `in_channels`.

    In the layers called `classify`, and wherever shapes differ by the number of channels alone, the rows of classes that both know
    by name are carried over and the others stay as `new` has them. An encoder's first convolution for RGB is fitted to other
    channels (`adapted`). Any other tensor is taken as it is; the scaling of pixels is that of `new`. Raises CheckpointError where a
    tensor has no partner of its shape.
    """
    table = known.index_of
    partners = [table.get(name, -1) for name in classes.names]
    if classes.channels > len(classes):  # nothing, the last channel
        partners.append(len(known) if known.channels > len(known) else -1)
    here = torch.tensor([place for place, partner in enumerate(partners) if partner >= 0], dtype=torch.long)
    there = torch.tensor([partner for partner in partners if partner >= 0], dtype=torch.long)
    given = old.state_dict()
    for name, tensor in new.state_dict().items():
        if name.startswith("normalise."):
            continue
        if name not in given:
            raise CheckpointError(name, expected="a tensor in the network to start from", received="none")
        if name.startswith("encoder."):
            given[name] = adapted(given[name], tensor, in_channels)
        counts = (known.channels, classes.channels)
        axes = [axis for axis in range(min(tensor.ndim, 2)) if _by_class(name, axis, given[name], tensor, counts)]
        if any(a != b for axis, (a, b) in enumerate(zip(given[name].shape, tensor.shape, strict=False)) if axis not in axes):
            raise CheckpointError(name, expected=f"shape {tuple(tensor.shape)}", received=tuple(given[name].shape))
        _place(tensor, given[name].to(tensor), axes, here, there)


def _by_class(name: str, axis: int, old: Tensor, new: Tensor, counts: tuple[int, int]) -> bool:
    """Whether an axis goes by class: of a scoring layer the first, of any where the lengths differ as the classes do."""
    scoring = axis == 0 and "classify" in name.split(".")
    lengths = (old.shape[axis], new.shape[axis])
    return old.ndim == new.ndim and lengths == counts and (scoring or lengths[0] != lengths[1])


def _place(new: Tensor, old: Tensor, axes: list[int], here: Tensor, there: Tensor) -> None:
    """Rows `there` of `old` as rows `here` of `new`, along `axes`, 0 and 1 at most; the whole along the others."""
    if not axes:
        new.copy_(old)
        return
    spots = [(here, there) if axis in axes else (torch.arange(new.shape[axis]),) * 2 for axis in range(min(new.ndim, 2))]
    if len(spots) == 1:
        new[here] = old[there]
    else:
        new[spots[0][0][:, None], spots[1][0]] = old[spots[0][1][:, None], spots[1][1]]
