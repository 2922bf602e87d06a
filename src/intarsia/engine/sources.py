"""Where a trained network comes from: our own checkpoints, torchvision's weights, and models of the Hugging Face hub."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia import __version__
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.foreign import from_torchvision, from_transformers
from intarsia.engine.recipe import Recipe, build_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from intarsia.engine.foreign import Files

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
        network, told, inside = name.removeprefix(TORCHVISION).partition("=")
        weights = inside if told else file
        return from_torchvision(network, None if weights is None else Path(weights))
    if file is not None:
        raise OptionError("file", expected=f"a source {TORCHVISION}NAME that it holds the weights of", received=name)
    if name.startswith(HUB):
        return _of_folder(name, _hub_files(name.removeprefix(HUB), revision), OURS[1:])
    path = Path(source)
    if path.is_dir():
        return _of_folder(name, _folder_files(path), OURS)
    if path.is_file():
        return _of_checkpoint(path)
    raise _nothing_there(name, "no such file")


def _of_folder(name: str, files: Files, ours: tuple[str, ...]) -> tuple[nn.Module, Recipe]:
    """A model of transformers, told by the `model_type` in its config.json, or one of ours."""
    config = _json(files("config.json"))
    if "model_type" in config:
        return from_transformers(name, config, files, _json(files("preprocessor_config.json", optional=True)))
    weights = files(*ours)
    if weights is None:
        raise _nothing_there(name, "an existing folder without weights")
    return _of_checkpoint(weights)


def _of_checkpoint(path: Path) -> tuple[nn.Module, Recipe]:
    """One of ours."""
    tensors, header = read_tensors(path)
    try:
        recipe = Recipe.from_dict(header)
    except (KeyError, TypeError) as error:
        if new := re.search(r"unexpected keyword argument ('\w+')", str(error)):
            raise _newer(path, new[1], header) from error
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
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    def get(*names: str, optional: bool = False) -> Path | None:
        out_of_reach: Exception | None = None
        for inside in names:
            try:
                return Path(hf_hub_download(name, inside, revision=revision))
            except LocalEntryNotFoundError as error:  # not in the cache, and the hub cannot be asked
                out_of_reach = error
            except EntryNotFoundError:  # the model is there and has no such file
                continue
            except (HfHubHTTPError, OSError, ValueError) as error:
                raise _out_of_reach(name, error) from error
        if out_of_reach is not None and not optional:
            raise _out_of_reach(name, out_of_reach) from out_of_reach
        if out_of_reach is not None and try_to_load_from_cache(name, names[0], revision=revision) is None:  # nor known to lack it
            warnings.warn(f"{HUB}{name}: going on without {names[0]}, which is not in the cache and cannot be had", stacklevel=2)
        return None

    return get


def _out_of_reach(name: str, error: Exception) -> CheckpointError:
    """The error of a hub model that cannot be asked for."""
    return CheckpointError(
        HUB + name,
        expected="a reachable hub model, or one in the cache",
        received=str(error).splitlines()[0].rstrip("."),
        hint="Where there is no network, pass a folder that holds its files.",
    )


def _newer(path: Path, key: str, header: Mapping[str, Any]) -> CheckpointError:
    """The error of a header that says more than this version knows."""
    origin = header.get("origin", {})
    return CheckpointError(
        str(path),
        expected=f"what Intarsia {__version__} knows",
        received=f"{key} in its header, written by Intarsia {origin.get('intarsia', 'of a version not told')}",
        hint="Load it with that version, or a newer one.",
    )


def _folder_files(folder: Path) -> Files:
    """The files of a folder."""

    def get(*names: str, optional: bool = False) -> Path | None:  # all is told
        return next((folder / name for name in names if (folder / name).is_file()), None)

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
        expected=f"a .safetensors checkpoint, a run folder, a saved model folder, {TORCHVISION}NAME, {TORCHVISION}NAME=FILE, "
        f"or {HUB}org/name on the Hugging Face hub",
        received=received,
    )
