"""What a checkpoint must know to rebuild its network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from intarsia.core import ClassSet, Pixels
from intarsia.core.catalogue import find
from intarsia.core.errors import IntarsiaError, OptionError, check_names, nearest
from intarsia.core.licences import UNKNOWN, Licences
from intarsia.decode import check_thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["Recipe", "answered", "build_network", "encoder_of", "losses_of", "spoken", "tasks_of"]

GIVEN = {
    "channels": "They are the classes of the data.",
    "in_channels": "They are those of the images.",
    "pixels": "To scale the input otherwise, pass --mean and --std.",
    "things": "They are those of the data.",
}
"""What models take from their recipe and no option may set, with where it comes from."""


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
    decode: dict[str, Any] = field(default_factory=dict)
    """Thresholds of the decoder, where they are not its own."""
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


def tasks_of(model: str) -> tuple[str, ...]:
    """The tasks that a model's output can be decoded for, its own first; of one from outside that does not say, semantic."""
    tasks: tuple[str, ...] = getattr(find("models", model), "tasks", ("semantic",))
    return tasks


def spoken(model: str, classes: ClassSet) -> ClassSet:
    """The classes as a network of that model speaks of them: one of objects may always say that there is none."""
    return classes if tasks_of(model)[0] == "semantic" else replace(classes, nothing=True, groups=())


def losses_of(model: str) -> dict[str, float]:
    """The losses that a model is trained with unless told otherwise, and their weights."""
    return dict(getattr(find("models", model), "losses", {"cross_entropy": 1.0, "dice": 1.0}))


def answered(recipe: Recipe, task: str | None = None, decode: Mapping[str, Any] | None = None) -> Recipe:
    """The same network, decoded for another task or by other thresholds.

    Raises OptionError for a task that its output does not answer, and for a threshold that the decoder does not take.
    """
    chosen = task or recipe.task
    known = tasks_of(recipe.model)
    if chosen not in known:
        expected = f"one that {recipe.model} answers: {', '.join(known)}"
        raise OptionError("--task", expected=expected, received=chosen, hint=nearest(chosen, known))
    options = {**(recipe.decode if chosen == recipe.task else {}), **(decode or {})}
    takes = [name for name, one in signature(find("decode", chosen)).parameters.items() if one.kind is one.KEYWORD_ONLY]
    thresholds = [name for name in takes if name != "confidence"]
    check_names(f"decoder {chosen!r}", options, thresholds, f"one of its thresholds {thresholds}")
    check_thresholds(**options)
    return replace(recipe, task=chosen, decode=options)


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
        if "things" in known:
            arguments["things"] = recipe.classes.is_thing.nonzero()[0].tolist()
        network: nn.Module = make(recipe.classes.channels, recipe.in_channels, pixels=recipe.pixels, **arguments)
    except IntarsiaError:
        raise
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:  # torch's and timm's ways to refuse a value
        raise OptionError(
            f"model {recipe.model!r}", expected="arguments that it can be built with", received=arguments, hint=f"It says: {error}"
        ) from error
    return network
