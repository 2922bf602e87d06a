"""Atrous spatial pyramid pooling (Chen et al. 2017, arXiv 1706.05587, section 3.3): one map seen at several scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.separable_conv import SeparableConv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["ASPP", "dilations"]


class ASPP(nn.Module):
    """A 1x1 convolution, a 3x3 convolution for each dilation in `rates`, and the mean of the image, put together by 1x1.

    `separable` makes the dilated convolutions depthwise separable (arXiv 1802.02611).

    >>> tuple(ASPP(4, 8, (6, 12, 18))(torch.zeros(2, 4, 5, 7)).shape)
    (2, 8, 5, 7)
    """

    def __init__(
        self, in_channels: int, channels: int, rates: Sequence[int], *, separable: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        conv = SeparableConv if separable else ConvNormAct
        self.point = ConvNormAct(in_channels, channels, 1)
        self.dilated = nn.ModuleList(conv(in_channels, channels, dilation=rate) for rate in rates)
        self.image = ConvNormAct(in_channels, channels, 1)
        self.project = ConvNormAct((2 + len(rates)) * channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s)."""
        image = self.image(features.mean(dim=(2, 3), keepdim=True))  # (B, channels, 1, 1)
        branches = [self.point(features), *(conv(features) for conv in self.dilated), image.expand(-1, -1, *features.shape[2:])]
        return self.dropout(self.project(torch.cat(branches, dim=1)))  # type: ignore[no-any-return]  # (B, channels, *s)


def dilations(output_stride: int) -> tuple[int, int, int]:
    """The paper's: (6, 12, 18) at stride 16, as far in image pixels at any other.

    >>> dilations(8)
    (12, 24, 36)
    """
    return tuple(max(1, rate * 16 // output_stride) for rate in (6, 12, 18))  # type: ignore[return-value]
