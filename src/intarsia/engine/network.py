"""What a checkpoint must know to rebuild its network, and the network as a Predictor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from intarsia.core import Batch, ClassSet, Pixels, Sample, Segments
from intarsia.core.catalogue import find, members
from intarsia.core.errors import CheckpointError, DataError, OptionError, nearest
from intarsia.core.files import write_json
from intarsia.data.images import read_image
from intarsia.decode import decoded, flipped
from intarsia.engine.checkpoint import read_tensors, write_tensors
from intarsia.engine.devices import autocast, device_named, precision_for
from intarsia.engine.loader import collate
from intarsia.transforms import evaluation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from intarsia.core import Image, Output

__all__ = ["Model", "Recipe", "build_network", "describe_models", "score", "segment"]

HUB = "hf:"
"""What a model of the Hugging Face hub is called with in front, so that a mistyped path is never looked up there."""
CHANNELS = "Save it with as many, for instance without alpha."


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
    """Data, its hash, version of Intarsia, epoch and scores."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Recipe.from_dict` takes them back."""
        return {**vars(self), "classes": self.classes.to_dict(), "pixels": self.pixels.to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_dict`."""
        nouns = {"classes": ClassSet.from_dict(plain["classes"]), "pixels": Pixels.from_dict(plain["pixels"])}
        return cls(**{**plain, **nouns, "size": tuple(plain["size"])})


def build_network(recipe: Recipe, **more: Any) -> nn.Module:
    """The network that `recipe` describes, with fresh weights unless `more` (such as weights="timm") says otherwise.

    Raises OptionError for an argument the model does not take, with the nearest it does.
    """
    from inspect import signature

    make = find("models", recipe.model)
    arguments = {**recipe.arguments, **more}
    known = signature(make).parameters
    for name in arguments:
        if name not in known:
            raise OptionError(
                f"model {recipe.model!r}", expected="its own arguments", received=repr(name), hint=nearest(name, known)
            )
    network: nn.Module = make(recipe.classes.channels, recipe.in_channels, pixels=recipe.pixels, **arguments)
    return network


@torch.inference_mode()
def score(network: nn.Module, batch: Batch, precision: str) -> Output:
    """What the network, in evaluation mode and on its device, says of a batch: arrays of numpy, float32."""
    device = next(network.parameters()).device
    moved = replace(batch, targets=None).to(device, non_blocking=True)
    with autocast(device, precision):
        output = network(moved.images, moved.valid, stats=moved.stats)
    arrays: Output = pytree.tree_map_only(Tensor, lambda tensor: tensor.float().cpu().numpy(), output)
    return arrays


def segment(network: nn.Module, batch: Batch, recipe: Recipe, precision: str) -> list[Segments]:
    """The segments of each image of a batch, at the size of its file."""
    answers: list[Segments] = find("decode", recipe.task)(score(network, batch, precision), batch.sizes, len(recipe.classes))
    return answers


class Model:
    """A trained network with its recipe: a Predictor, image to Segments.

    A folder of `save_pretrained` and a single checkpoint file are both read by `from_pretrained`.
    """

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, device: str = "auto", precision: str = "auto", flip: bool = False
    ) -> None:
        self.device = device_named(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self.recipe = recipe
        self.precision = precision_for(precision, self.device)
        self.flip = flip

    @property
    def classes(self) -> ClassSet:
        """What the predicted classes mean."""
        return self.recipe.classes

    def __call__(self, image: Image, *, confidence: bool = False) -> Segments:
        """The segments of one image (*S, C), at its own size."""
        if image.shape[-1] != self.recipe.in_channels:
            raise DataError(
                "image",
                expected=f"{self.recipe.in_channels} channels, as in training",
                received=f"shape {image.shape}",
                hint=CHANNELS,
            )
        if self.recipe.pixels.kind == "fixed" and image.dtype != np.uint8:
            raise DataError("image", expected="8-bit values, as in training", received=str(image.dtype))
        scorer = flipped(self.score) if self.flip else self.score
        return decoded(scorer, len(self.classes), find("decode", self.recipe.task), confidence=confidence)(image)

    def score(self, image: NDArray[Any], /, *, stats: NDArray[np.float32] | None = None) -> Output:
        """The network as a Scorer: one image (*S, C), brought to the recipe's size, to its Output in numpy."""
        sample = Sample(image, stats=self.recipe.pixels.stats(image) if stats is None else stats)
        resized = evaluation(self.recipe.size)(sample, np.random.default_rng(0), None)
        return score(self.network, collate([resized], len(self.classes)), self.precision)

    def predict(self, image: str | Path | NDArray[Any]) -> Sample:
        """The image, from a file or as an array (H, W, C), with the predicted segments: to be shown, saved or counted."""
        pixels = read_image(Path(image)) if isinstance(image, str | Path) else image
        key = Path(image).stem if isinstance(image, str | Path) else ""
        try:
            return Sample(pixels, self(pixels), key, classes=self.classes)
        except DataError as error:
            raise DataError(f"{image}: {error}" if key else str(error)) from error

    def save_pretrained(self, folder: str | Path) -> Path:
        """`config.json` and `model.safetensors`, as the Hugging Face hub expects them; the folder is returned."""
        folder = Path(folder)
        write_tensors(folder / "model.safetensors", self.network.state_dict(), self.recipe.to_dict())
        write_json(folder / "config.json", self.recipe.to_dict())
        return folder

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        flip: bool = False,
        revision: str | None = None,
    ) -> Model:
        """From a checkpoint, a folder of `save_pretrained`, a run folder (its best weights), or the hub: `hf:org/name`.

        Raises CheckpointError where there is none, or where weights and recipe do not fit.
        """
        tensors, header = read_tensors(_weights_of(source, revision))
        try:
            recipe = Recipe.from_dict(header)
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                str(source),
                expected="the weights of a network",
                received="another file of Intarsia",
                hint="Take weights/best.safetensors.",
            ) from error
        network = build_network(recipe)
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise CheckpointError(
                str(source),
                expected=f"the weights of {recipe.model!r} as its header describes it",
                received=str(error).splitlines()[1].strip(),
            ) from error
        return cls(network, recipe, device=device, precision=precision, flip=flip)


def _weights_of(source: str | Path, revision: str | None) -> Path:
    """The weights file behind any of the accepted sources."""
    if str(source).startswith(HUB):
        return _from_hub(str(source).removeprefix(HUB), revision)
    path = Path(source)
    if path.is_file():
        return path
    for inside in ("weights/best.safetensors", "model.safetensors"):
        if (path / inside).is_file():
            return path / inside
    raise CheckpointError(
        str(source),
        expected=f"a .safetensors checkpoint, a run folder, a saved model folder, or {HUB}org/name on the Hugging Face hub",
        received="an existing folder without weights" if path.is_dir() else "no such file",
    )


def _from_hub(name: str, revision: str | None) -> Path:
    """The weights file of a hub model, from the cache where it is there; asked only where the source says so."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(name, "model.safetensors", revision=revision))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(HUB + name, expected="a reachable hub model", received=str(error).splitlines()[0]) from error


def describe_models() -> list[dict[str, Any]]:
    """Each model of the catalogue: name, first line of its description, parameters with 3 channels in and 11 out."""
    rows = []
    for name in members("models"):
        make = find("models", name)
        with torch.device("meta"):  # no memory, no time
            parameters = sum(parameter.numel() for parameter in make(11).parameters())
        about = (make.__doc__ or "").strip().partition("\n")[0]
        rows.append({"name": name, "about": about, "parameters": parameters})
    return rows
