"""The context embedding block of BiSeNetV2 (Yu et al. 2020, arXiv 2004.02147, figure 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ContextEmbedding"]


class ContextEmbedding(nn.Module):
    """The mean of the whole image, through batch norm and a 1x1 convolution, added to every cell; then a 3x3 convolution.

    >>> import torch
    >>> tuple(ContextEmbedding(4)(torch.zeros(1, 4, 3, 4)).shape)
    (1, 4, 3, 4)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ScarceNorm(channels)
        self.context = ConvNormAct(channels, channels, 1)
        self.last = ConvNormAct(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, *s) -> (B, channels, *s)."""
        mean = features.mean(dim=(2, 3), keepdim=True)  # (B, channels, 1, 1)
        return self.last(features + self.context(self.norm(mean)))  # type: ignore[no-any-return]
