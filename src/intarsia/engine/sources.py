"""Where a trained network comes from: our own checkpoints, torchvision's weights, and models of the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import CheckpointError, OptionError
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.foreign import from_torchvision, from_transformers
from intarsia.engine.recipe import Recipe, build_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    Files = Callable[[str], Path | None]
    """The path of a file of a model, or None where the model has none of that name."""

__all__ = ["network_from"]

HUB = "hf:"
"""What a model of the Hugging Face hub is called with in front, so that a mistyped path is never looked up there."""
TORCHVISION = "torchvision:"
OURS = ("weights/best.safetensors", "model.safetensors")
"""The weights in a run folder and in a folder of `save_pretrained`."""


def network_from(source: str | Path, *, file: str | Path | None = None, revision: str | None = None) -> tuple[nn.Module, Recipe]:
    """The network, and how it is made, from any source that `Model.from_pretrained` takes."""
    name = source.as_posix() if isinstance(source, Path) else source
    if name.startswith(TORCHVISION):
        return from_torchvision(name.removeprefix(TORCHVISION), None if file is None else Path(file))
    if file is not None:
        raise OptionError("file", expected=f"a source {TORCHVISION}NAME that it holds the weights of", received=name)
    if name.startswith(HUB):
        return _of_folder(name, _hub_files(name.removeprefix(HUB), revision), OURS[1:])
    path = Path(source)
    if path.is_dir():
        return _of_folder(name, lambda inside: path / inside if (path / inside).is_file() else None, OURS)
    if path.is_file():
        return _of_checkpoint(path)
    raise _nothing_there(name, "no such file")


def _of_folder(name: str, files: Files, ours: tuple[str, ...]) -> tuple[nn.Module, Recipe]:
    """A model of transformers, told by the `model_type` in its config.json, or one of ours."""
    config = _json(files("config.json"))
    if "model_type" in config:
        return from_transformers(name, config, files, _json(files("preprocessor_config.json")))
    weights = next(filter(None, map(files, ours)), None)
    if weights is None:
        raise _nothing_there(name, "an existing folder without weights")
    return _of_checkpoint(weights)


def _of_checkpoint(path: Path) -> tuple[nn.Module, Recipe]:
    """One of ours."""
    tensors, header = read_tensors(path)
    try:
        recipe = Recipe.from_dict(header)
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            str(path),
            expected="the weights of a network",
            received="another file of Intarsia",
            hint="Take weights/best.safetensors.",
        ) from error
    network = build_network(recipe)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            str(path),
            expected=f"the weights of {recipe.model!r} as its header describes it",
            received=str(error).splitlines()[1].strip(),
        ) from error
    return network, recipe


def _hub_files(name: str, revision: str | None) -> Files:
    """The files of a hub model, from the cache where they are there; asked only where the source says so."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    def get(inside: str) -> Path | None:
        try:
            return Path(hf_hub_download(name, inside, revision=revision))
        except (EntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                return None  # the model is there and has no such file
            raise CheckpointError(
                HUB + name,
                expected="a reachable hub model",
                received=str(error).splitlines()[0],
                hint="Where there is no network, pass a folder that holds its files.",
            ) from error

    return get


def _json(path: Path | None) -> dict[str, Any]:
    """A file of JSON; empty where there is none."""
    if path is None:
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(str(path), expected="a readable file of JSON", received=error) from error
    return content


def _nothing_there(name: str, received: str) -> CheckpointError:
    """The error of a source that is none."""
    return CheckpointError(
        name,
        expected=f"a .safetensors checkpoint, a run folder, a saved model folder, {TORCHVISION}NAME, "
        f"or {HUB}org/name on the Hugging Face hub",
        received=received,
    )
