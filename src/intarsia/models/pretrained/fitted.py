"""The state of one of our networks from foreign tensors, none of either side passed over in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import CheckpointError, few
from intarsia.models.encoders.weights import COUNTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["fitted"]


def fitted(
    source: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], theirs: Mapping[str, str] | None = None
) -> dict[str, Tensor]:
    """`given`, under our names, as a whole state dict in the dtypes of `wanted`, that of our untrained network.

    A 1x1 convolution and a linear layer may stand for each other. Our scaling, and counters of training steps that are not given,
    stay as in `wanted`. Raises CheckpointError for tensors that have no place, are of another shape or are missing; it names them
    as the source does where `theirs` tells how.
    """
    homeless = [name for name in given if name not in wanted]
    unfit = [name for name, tensor in given.items() if name in wanted and not _same(tensor, wanted[name])]
    missing = [name for name in wanted if name not in given and not name.startswith("normalise.") and not name.endswith(COUNTER)]
    for fault, names in (("without a place", homeless), ("of another shape", unfit), ("missing", missing)):
        if names:
            shown = few([(theirs or {}).get(name, name) for name in names], 4)
            raise CheckpointError(
                source,
                expected=f"{len(wanted)} tensors that fit the network",
                received=f"{len(names)} {fault}: {shown}",
                hint="They are of another network than they are said to be, or of one that was changed.",
            )
    return {name: given[name].reshape(tensor.shape).to(tensor) if name in given else tensor for name, tensor in wanted.items()}


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether the shapes agree but for cells of size 1 behind (outputs, inputs)."""
    shapes = [tuple(tensor.shape[:2]) + tuple(size for size in tensor.shape[2:] if size > 1) for tensor in (one, other)]
    return shapes[0] == shapes[1]
