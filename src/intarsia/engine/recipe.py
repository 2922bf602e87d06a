"""What a checkpoint must know to rebuild its network."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

from intarsia.core import ClassSet, Pixels
from intarsia.core.catalogue import find
from intarsia.core.errors import IntarsiaError, OptionError, check_names
from intarsia.core.licences import UNKNOWN, Licences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["Recipe", "build_network", "encoder_of"]

GIVEN = {
    "channels": "They are the classes of the data.",
    "in_channels": "They are those of the images.",
    "pixels": "To scale the input otherwise, pass --mean and --std.",
}
"""What every model takes from its recipe and no option may set, with where it comes from."""


@dataclass(frozen=True)
class Recipe:
    """How a network was made and what its numbers mean; lies in the header of every checkpoint."""

    model: str
    classes: ClassSet
    pixels: Pixels
    in_channels: int
    size: tuple[int, ...]
    """S the network is evaluated at; larger and smaller images are resized to it and the answer is drawn at their own size."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Further keyword arguments of the model."""
    task: str = "semantic"
    """The decoder, and the metric, that go with the network."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Data, its hash, version of Intarsia, epoch and scores; of a translated network its source."""
    licences: Licences = field(default_factory=Licences)
    """What may be done with the network; of a checkpoint from before there was this record, unknown."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Recipe.from_dict` takes them back."""
        nouns = {name: getattr(self, name).to_dict() for name in ("classes", "pixels", "licences")}
        return {**vars(self), **nouns}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_dict`."""
        nouns = {
            "classes": ClassSet.from_dict(plain["classes"]),
            "pixels": Pixels.from_dict(plain["pixels"]),
            "licences": Licences(**plain.get("licences", {"weights": UNKNOWN, "data": UNKNOWN})),
        }
        return cls(**{**plain, **nouns, "size": tuple(plain["size"])})


def encoder_of(model: str, arguments: Mapping[str, Any]) -> str | None:
    """The name of the encoder that a model has with these arguments: the one given, else its default, else None."""
    default = signature(find("models", model)).parameters.get("encoder")
    name = arguments.get("encoder", default.default if default is not None else None)
    return name if isinstance(name, str) else None


def build_network(recipe: Recipe, **more: Any) -> nn.Module:
    """The network that `recipe` describes, with fresh weights unless `more` (such as weights="timm") says otherwise.

    Raises OptionError for an argument the model does not take, with the nearest it does, and for one that is not to be chosen.
    """
    make = find("models", recipe.model)
    arguments = {**recipe.arguments, **more}
    known = signature(make).parameters
    for name in arguments:
        if name in GIVEN:
            raise OptionError(f"model {recipe.model!r}", expected="arguments to choose", received=repr(name), hint=GIVEN[name])
    check_names(f"model {recipe.model!r}", arguments, [name for name in known if name not in GIVEN], "its own arguments")
    try:
        network: nn.Module = make(recipe.classes.channels, recipe.in_channels, pixels=recipe.pixels, **arguments)
    except IntarsiaError:
        raise
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:  # torch's and timm's ways to refuse a value
        raise OptionError(
            f"model {recipe.model!r}", expected="arguments that it can be built with", received=arguments, hint=f"It says: {error}"
        ) from error
    return network
