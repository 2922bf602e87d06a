"""Encoder weights from a local safetensors file, through a checked key map: no tensor is taken unless kind and shape agree, and
none is dropped unnamed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from timm.models import adapt_input_conv

from intarsia.core.errors import CheckpointError
from intarsia.core.licences import spelled
from intarsia.core.pixels import Pixels

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Loaded", "adapted", "file_licence", "file_pixels", "load_tensors", "load_weights", "read_tensors"]

KINDS = ("weight", "bias", "running_mean", "running_var")
"""The tensors of one module in state-dict order."""
COUNTER = "num_batches_tracked"
"""A batch norm's count of training steps: no weight, and not in every file."""

CORAL_MOBILENETV2 = "f0d161d0d27adbc094244c7cd5ab0ed6f34478d7b144f69560b24207a4f02a12"
"""SHA-256 of MobileNetV2 on ImageNet from github.com/google-coral/test_data (Apache-2.0), under torchvision's names."""

# Files that do not say themselves how their input is scaled and what may be done with them, by SHA-256.
KNOWN_PIXELS = {CORAL_MOBILENETV2: Pixels(mean=(0.5,) * 3, std=(0.5,) * 3)}  # x / 127.5 - 1
KNOWN_LICENCES = {CORAL_MOBILENETV2: "Apache-2.0"}


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


def load_weights(network: nn.Module, path: str | Path, in_channels: int) -> Loaded:
    """Puts the tensors of a safetensors file into a timm feature network and reports what was left out.

    Names are matched first, timm's own spellings of a feature network (`stages_0`, `model.`) seen through. Where none agrees and
    the file speaks torchvision's `features.N`, the two are matched in state-dict order, which timm's MobileNetV2 shares. Every pair
    must agree in shape, and in order also in kind (weight, bias, mean, variance). A first convolution made for RGB is adapted to
    `in_channels`, timm's way.

    Raises CheckpointError where the file cannot be read or a tensor of the network stays without a partner.
    """
    return load_tensors(network, read_tensors(Path(path))[0], str(path), in_channels)


def load_tensors(network: nn.Module, tensors: dict[str, Tensor], source: str, in_channels: int) -> Loaded:
    """The same from a state dict at hand; `source` names it in the report and in errors."""
    tensors = dict(tensors)
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(COUNTER)}
    table = _by_name(list(wanted), list(tensors)) or _by_order(list(wanted), list(tensors))
    for ours, theirs in table.items():
        tensors[theirs] = adapted(tensors[theirs], wanted[ours], in_channels)
    unfit = [name for name in wanted if name not in table or tensors[table[name]].shape != wanted[name].shape]
    if unfit:
        first, partner = unfit[0], table.get(unfit[0])
        raise CheckpointError(
            source,
            expected=f"{len(wanted)} tensors that fit the encoder, {first} as {tuple(wanted[first].shape)}",
            received=f"{partner} as {tuple(tensors[partner].shape)}" if partner else f"nothing for {first}",
            hint=f"{len(unfit)} of the encoder's tensors have no partner in the file: it belongs to another network.",
        )
    for ours, theirs in table.items():
        wanted[ours].copy_(tensors[theirs])  # copies into the network's own dtype
    left_out = tuple(name for name in tensors if name not in table.values() and not name.endswith(COUNTER))
    return Loaded(Path(source).name, len(table), left_out)


def file_pixels(path: str | Path) -> Pixels | None:
    """The scaling that the weights were trained with: the file's `pixels` metadata (JSON of `Pixels.to_dict`), else what is known
    of this very file, else None."""
    metadata = read_tensors(Path(path))[1]
    if "pixels" in metadata:
        return Pixels.from_dict(json.loads(metadata["pixels"]))
    return KNOWN_PIXELS.get(_hash(path))


def file_licence(path: str | Path) -> str:
    """The licence of the weights: the file's `license` metadata, else what is known of this very file, else "unknown"."""
    metadata = read_tensors(Path(path))[1]
    return spelled(metadata.get("license") or metadata.get("licence") or KNOWN_LICENCES.get(_hash(path)))


def _hash(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor of the file, and its metadata."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (it is no dict)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            str(path),
            expected="a readable .safetensors file of encoder weights",
            received=str(error),
            hint="Other choices are 'none' and 'timm'.",
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
