"""Weights as safetensors with a JSON header, written whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import safetensors
from safetensors.torch import save

from intarsia.core.errors import CheckpointError
from intarsia.core.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["read_tensors", "write_tensors"]

HEADER = "intarsia"
PICKLED = "To load a network of torchvision from such a file, name it torchvision:NAME=FILE; to start an encoder, --weights FILE."
OTHERS = {
    ".pth": PICKLED,
    ".pt": PICKLED,
    ".bin": "To load a network of transformers, name the folder that holds it and its config.json.",
}
"""Files of others, by their ending: where they are taken."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Tensors and a JSON-safe header in one safetensors file, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as draft:
        draft.write_bytes(save(plain, {HEADER: json.dumps(header)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The inverse of `write_tensors`; CheckpointError names what is wrong with the file."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError as error:
        raise CheckpointError(str(path), expected="a checkpoint", received="no such file") from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            str(path),
            expected="a whole .safetensors file",
            received=str(error),
            hint=OTHERS.get(path.suffix, "It was cut off or changed: take another copy; of a run, weights/last.safetensors."),
        ) from error
    if header is None:
        raise CheckpointError(
            str(path),
            expected="a checkpoint that Intarsia wrote",
            received="weights without Intarsia's header",
            hint="To start an encoder from such a file, use --encoder NAME --weights FILE.",
        )
    return tensors, json.loads(header)
