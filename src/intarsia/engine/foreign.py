"""Networks that others have trained, as ours: files are found and read here, keys are translated by `models/pretrained`."""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from intarsia import __version__
from intarsia.core import ClassSet, Pixels
from intarsia.core.errors import CheckpointError, OptionError, nearest
from intarsia.core.licences import UNKNOWN, spelled
from intarsia.engine.recipe import Recipe, build_network, spoken
from intarsia.models.encoders.weights import read_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Protocol

    from torch import Tensor, nn

    from intarsia.models.pretrained.converted import Converted

    class Files(Protocol):
        """Finds a file of a model."""

        def __call__(self, *names: str, optional: bool = False) -> Path | None:
            """The path of the first that the model has, or None where it has none of them.

            Raises CheckpointError where that cannot be told; of what is `optional` it is then None too.
            """
            ...


__all__ = ["assembled", "from_torchvision", "from_transformers"]


def from_torchvision(name: str, file: Path | None = None) -> tuple[nn.Module, Recipe]:
    """A segmentation network of torchvision, its weights downloaded by torch.hub and checked by their hash, or read from `file`.

    A file that is not torchvision's own is of unknown licence. Raises OptionError for a name torchvision lacks, CheckpointError for
    weights that cannot be had or do not fit.
    """
    from torchvision.models import get_model_weights

    from intarsia.models.pretrained.from_torchvision import NAMES, convert

    if name not in NAMES:
        raise OptionError("torchvision:NAME", expected="a network that can be translated", received=name, hint=nearest(name, NAMES))
    url = get_model_weights(name).DEFAULT.url
    if file is None:
        return assembled(convert(name, _downloaded(name, url)))
    converted = convert(name, read_state(file))
    if not _is_original(file, url):
        converted = replace(converted, licences=replace(converted.licences, weights=UNKNOWN, data=UNKNOWN))
    return assembled(converted)


def from_transformers(
    source: str, config: Mapping[str, Any], files: Files, preprocessing: Mapping[str, Any]
) -> tuple[nn.Module, Recipe]:
    """A network of transformers from its config and the weights that `files` gives; scaling, where told, as its preprocessing says.

    Raises CheckpointError for weights that are not there in one file or do not fit.
    """
    from intarsia.models.pretrained.from_transformers import convert

    weights = files("model.safetensors", "pytorch_model.bin")
    if weights is None:
        raise CheckpointError(
            source,
            expected="model.safetensors or pytorch_model.bin beside config.json",
            received="neither",
            hint="Weights in several parts are saved as one by save_pretrained(folder, max_shard_size='100GB') of transformers.",
        )
    converted = convert(config, read_state(weights), source)
    licences = converted.licences
    if licences.weights == UNKNOWN:
        licences = replace(licences, weights=_licence_on_card(files("README.md", optional=True)))
    pixels, size = _pixels(preprocessing, converted.pixels), _size(preprocessing, converted.size)
    return assembled(replace(converted, pixels=pixels, size=size, licences=licences))


def assembled(converted: Converted) -> tuple[nn.Module, Recipe]:
    """The network with its weights, and how it is made."""
    recipe = Recipe(
        model=converted.model,
        classes=spoken(converted.model, ClassSet(converted.names, things=converted.things)),
        pixels=converted.pixels,
        in_channels=3,
        size=converted.size,
        arguments=dict(converted.arguments),
        task=converted.task,
        origin={"source": converted.source, "intarsia": __version__},
        licences=converted.licences,
    )
    network = build_network(recipe)
    scaling = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("normalise.")}
    network.load_state_dict({**converted.state, **scaling})  # whole and of our shapes: `fitted` has seen to that
    return network, recipe


def _downloaded(name: str, url: str) -> dict[str, Tensor]:
    """The weights at `url`, from torch.hub's cache where they are there, checked against the hash in their name."""
    try:
        with redirect_stdout(sys.stderr):  # where torch.hub says that it downloads
            state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"torchvision:{name}",
            expected=f"a whole download of {url}, or a copy in torch.hub's cache",
            received=str(error).splitlines()[0],
            hint=f"Fetch it where there is a network, then name torchvision:{name}=PATH/{url.rpartition('/')[2]}.",
        ) from error
    return state


def _is_original(file: Path, url: str) -> bool:
    """Whether a file's SHA-256 begins as the name in `url` says, such as deeplabv3_resnet50_coco-cd0a2569.pth."""
    expected = url.rpartition("-")[2].partition(".")[0]
    with file.open("rb") as handle:
        return bool(expected) and hashlib.file_digest(handle, "sha256").hexdigest().startswith(expected)


def _licence_on_card(card: Path | None) -> str:
    """The licence in the front matter of a model card, by name where it is called "other"; else unknown."""
    front = card.read_text(encoding="utf-8").split("---") if card is not None else []
    told = dict(re.findall(r"^(license|license_name): *[\"']?([\w.-]+)", front[1], flags=re.MULTILINE)) if len(front) > 2 else {}
    named = told.get("license")
    return spelled(told.get("license_name", named) if named == "other" else named)


def _size(preprocessing: Mapping[str, Any], default: tuple[int, int]) -> tuple[int, int]:
    """(H, W) that a preprocessor_config.json asks for; `default` where it asks for none, or only for the length of an edge."""
    size = preprocessing.get("size")
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    return (size, size) if isinstance(size, int) else default


def _pixels(preprocessing: Mapping[str, Any], default: Pixels) -> Pixels:
    """The scaling that a preprocessor_config.json tells; `default` where it tells none."""
    if "image_mean" not in preprocessing or "image_std" not in preprocessing:
        return default
    scale = preprocessing.get("rescale_factor", 1 / 255) if preprocessing.get("do_rescale", True) else 1.0
    mean, std = preprocessing["image_mean"], preprocessing["image_std"]
    if not preprocessing.get("do_normalize", True):
        mean, std = (0.0,), (1.0,)
    return Pixels(high=1 / scale, mean=mean, std=std)
