"""Encoder weights from a local file, through a checked key map: no tensor is taken unless kind and shape agree, and none is
dropped unnamed."""

from __future__ import annotations

import hashlib
import json
import pickle
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor

from intarsia.core.errors import CheckpointError
from intarsia.core.licences import IMAGENET, UNKNOWN, spelled
from intarsia.core.pixels import Pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

__all__ = [
    "CHOICES",
    "Loaded",
    "adapted",
    "file_data",
    "file_licence",
    "file_pixels",
    "load_tensors",
    "load_weights",
    "read_state",
]

CHOICES = "Encoder weights may also be 'none' or 'timm'."
SUFFIX = ".safetensors"

KINDS = ("weight", "bias", "running_mean", "running_var")
"""The tensors of one module in state-dict order."""
COUNTER = "num_batches_tracked"
"""A batch norm's count of training steps: no weight, and not in every file."""
TORCHVISION = (
    " Its names are torchvision's, whose networks are not timm's to the last number: name an encoder that is built as there, "
    "torchvision_mobilenet_v3_large or torchvision_mobilenet_v3_small, or take weights under timm's names."
)


@dataclass(frozen=True)
class Known:
    """What a file does not say itself."""

    size: int
    """Of the file, in bytes."""
    pixels: Pixels
    licence: str
    data: str


KNOWN = {
    # MobileNetV2 on ImageNet from github.com/google-coral/test_data, under torchvision's names; it takes x / 127.5 - 1
    "f0d161d0d27adbc094244c7cd5ab0ed6f34478d7b144f69560b24207a4f02a12": Known(
        4_676_368, Pixels(mean=(0.5,) * 3, std=(0.5,) * 3), "Apache-2.0", IMAGENET
    ),
}
"""By SHA-256."""


@dataclass(frozen=True)
class Loaded:
    """What became of a weights file.

    >>> print(Loaded("resnet18.safetensors", 100, ("fc.weight", "fc.bias")))
    resnet18.safetensors: 100 tensors loaded; left out: fc
    """

    source: str
    tensors: int
    left_out: tuple[str, ...] = ()
    """The names in the file that the encoder has no place for."""

    def __str__(self) -> str:
        modules = sorted({".".join(name.split(".")[:-1][:2]) for name in self.left_out})
        return f"{self.source}: {self.tensors} tensors loaded" + (f"; left out: {', '.join(modules)}" if modules else "")


def load_weights(network: nn.Module, path: str | Path, in_channels: int, *, in_order: bool = False) -> Loaded:
    """Puts the tensors of a file into a feature network and reports what was left out.

    Names are matched first, timm's own spellings of a feature network (`stages_0`, `model.`) seen through. Where none agrees, the
    file speaks torchvision's `features.N` and `in_order` says that both are one network, they are matched in state-dict order.
    Every pair must agree in shape, and in order also in kind (weight, bias, mean, variance). A first convolution made for RGB is
    adapted to `in_channels`, timm's way.

    Raises CheckpointError where the file cannot be read or a tensor of the network stays without a partner.
    """
    return load_tensors(network, read_state(Path(path), CHOICES), str(path), in_channels, in_order=in_order)


def load_tensors(
    network: nn.Module, tensors: dict[str, Tensor], source: str, in_channels: int, *, in_order: bool = False
) -> Loaded:
    """The same from a state dict at hand; `source` names it in the report and in errors."""
    tensors = dict(tensors)
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(COUNTER)}
    table = _by_name(list(wanted), list(tensors))
    if not table and in_order:
        table = _by_order(list(wanted), list(tensors))
    for ours, theirs in table.items():
        tensors[theirs] = adapted(tensors[theirs], wanted[ours], in_channels)
    unfit = [name for name in wanted if name not in table or tensors[table[name]].shape != wanted[name].shape]
    if unfit:
        first, partner = unfit[0], table.get(unfit[0])
        raise CheckpointError(
            source,
            expected=f"{len(wanted)} tensors that fit the encoder, {first} as {tuple(wanted[first].shape)}",
            received=f"{partner} as {tuple(tensors[partner].shape)}" if partner else f"nothing for {first}",
            hint=f"{len(unfit)} of the encoder's tensors have no partner in the file: it belongs to another network."
            + (TORCHVISION if not table and any(name.startswith("features.") for name in tensors) else ""),
        )
    for ours, theirs in table.items():
        wanted[ours].copy_(tensors[theirs])  # copies into the network's own dtype
    left_out = tuple(name for name in tensors if name not in table.values() and not name.endswith(COUNTER))
    return Loaded(Path(source).name, len(table), left_out)


def file_pixels(path: str | Path) -> Pixels | None:
    """The scaling that the weights were trained with: the file's `pixels` metadata (JSON of `Pixels.to_dict`), else what is known
    of this very file, else None."""
    plain = _said(path).get("pixels")
    if plain is not None:
        return Pixels.from_dict(json.loads(plain))
    known = _known(path)
    return known.pixels if known else None


def file_licence(path: str | Path) -> str:
    """The licence of the weights: the file's `license` metadata, else what is known of this very file, else "unknown"."""
    metadata = _said(path)
    told = metadata.get("license") or metadata.get("licence")
    known = None if told else _known(path)
    return spelled(known.licence if known else told)


def file_data(path: str | Path) -> str:
    """The terms of what the weights learnt from: the file's `data` metadata, else what is known of it, else "unknown"."""
    told = _said(path).get("data")
    known = None if told else _known(path)
    return known.data if known else told or UNKNOWN


def _said(path: str | Path) -> dict[str, str]:
    """The metadata of a .safetensors file, no tensor read; other files have none."""
    with _readable(Path(path), CHOICES):
        if Path(path).suffix != SUFFIX:
            return {}
        with safe_open(path, "pt") as file:
            return file.metadata() or {}


def _known(path: str | Path) -> Known | None:
    """What is known of a file by its hash, taken only where its size is that of a known one."""
    with _readable(Path(path), CHOICES):
        if Path(path).stat().st_size not in [known.size for known in KNOWN.values()]:
            return None
        with Path(path).open("rb") as file:
            return KNOWN.get(hashlib.file_digest(file, "sha256").hexdigest())


def read_state(path: Path, otherwise: str = "") -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one of `torch.save`, under "model" in it if need be; no code in it is run.

    Raises CheckpointError where it cannot be read; `otherwise` ends its text.
    """
    with _readable(path, otherwise):
        state = load_file(path) if path.suffix == SUFFIX else torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, dict) and isinstance(state.get("model"), dict):  # what torchvision's training script saves
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(str(path), expected="tensors by name", received="something else", hint="Save the state_dict() alone.")
    return state


@contextmanager
def _readable(path: Path, otherwise: str) -> Iterator[None]:
    """CheckpointError for whatever reading the file raises."""
    try:
        yield
    except FileNotFoundError as error:
        raise CheckpointError(str(path), expected="a file of weights", received="no such file", hint=otherwise) from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        pickled = "Whole networks that were pickled are not read, because that would run their code: save their state_dict()."
        raise CheckpointError(
            str(path),
            expected="tensors by name in a .safetensors file or a .pth file of torch.save",
            received=str(error).splitlines()[0] if str(error) else type(error).__name__,
            hint=" ".join(filter(None, ("" if path.suffix == SUFFIX else pickled, otherwise))),
        ) from error


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts numbers as numbers, and the tensors of a module by KINDS."""
    *modules, kind = name.split(".")
    place = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return (*((0, int(part), "") if part.isdigit() else (1, 0, part) for part in modules), (0, place, kind))


def _by_name(ours: list[str], theirs: list[str]) -> dict[str, str]:
    """Ours to theirs for those of ours that have a namesake."""
    spelled = {name.replace(".", "_"): name for name in theirs}
    table = {name: spelled.get(name.removeprefix("model.").replace(".", "_")) for name in ours}
    return {our: their for our, their in table.items() if their}


def _by_order(ours: list[str], theirs: list[str]) -> dict[str, str]:
    """Ours to torchvision's `features.N`, in order, as far as the kinds agree: a safetensors file keeps its names in alphabetical
    order, so only numbered names tell the order of the network."""
    theirs = sorted((name for name in theirs if name.startswith("features.") and name.rpartition(".")[2] in KINDS), key=_natural)
    pairs = zip(ours, theirs, strict=False)
    return {our: their for our, their in pairs if our.rpartition(".")[2] == their.rpartition(".")[2]}


def adapted(tensor: Tensor, wanted: Tensor, in_channels: int) -> Tensor:
    """A first convolution that was made for RGB, for `in_channels`, timm's way; any other tensor as it is.

    For one channel the weights of red, green and blue are added up, so that a grey image gives what it gave as RGB.

    >>> import torch
    >>> adapted(torch.ones(8, 3, 3, 3), torch.zeros(8, 1, 3, 3), 1)[0, 0, 0].tolist()
    [3.0, 3.0, 3.0]
    """
    first = tensor.ndim == 4 and tensor.shape != wanted.shape and tensor.shape[1] == 3 and wanted.shape[1] == in_channels
    return adapt_input_conv(in_channels, tensor) if first else tensor
