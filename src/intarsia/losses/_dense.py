"""What every loss on Dense outputs shares: logits at the size of the labels, and the weight of auxiliary outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

AUX_WEIGHT = 0.4
"""Of each auxiliary output beside the main one (PSPNet, arXiv 1612.01105, section 3.3)."""


def dense_loss(output: Output, targets: Targets, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`loss(logits, labels)` of a Dense output, plus AUX_WEIGHT times that of each auxiliary output."""
    if not isinstance(output, Dense):
        raise InvalidNoun("loss", expected="a Dense output", received=type(output).__name__)
    labels = targets.semantic()  # (B, *S)
    total = loss(_upsampled(output, labels.shape[1:]), labels)
    for aux in output.aux:
        total = total + AUX_WEIGHT * dense_loss(aux, targets, loss)
    return total


def at_label_size(output: Dense, targets: Targets) -> Dense:
    """The output with its logits at the size of the labels, so that several losses share one up-sampling."""
    aux = tuple(at_label_size(one, targets) for one in output.aux)
    return replace(output, logits=_upsampled(output, targets.ids.shape[2:]), aux=aux)


def known_labels(labels: Tensor, channels: int) -> Tensor:
    """Labels with no channel of their own (nothing, where the network has no channel for it) become void, -1."""
    return labels.where(labels < channels, -1)


def at_least_float32(logits: Tensor) -> Tensor:
    """Half precision becomes float32, because sums over an image's pixels overflow it; float64 stays, for gradient checks."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _upsampled(output: Dense, size: torch.Size) -> Tensor:
    """(B, C, *s) -> (B, C, *S), linear, in the output's own corner convention."""
    logits = at_least_float32(output.logits)
    if logits.shape[2:] != size:
        mode = "bilinear" if len(size) == 2 else "trilinear"
        logits = interpolate(logits, size=size, mode=mode, align_corners=output.align_corners)  # (B, C, *S)
    return logits.contiguous()  # cross_entropy is twice as slow on channels_last
