"""Layer norm over the channels of a map (arXiv 1607.06450), as ConvNeXt's (arXiv 2201.03545)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ChannelNorm"]


class ChannelNorm(nn.LayerNorm):
    """Each cell's channels to mean 0 and variance 1, then scale and shift.

    >>> import torch
    >>> ChannelNorm(2)(torch.tensor([3.0, 5.0]).view(1, 2, 1, 1)).round().flatten().tolist()
    [-1.0, 1.0]
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *s) -> (B, C, *s)."""
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)
