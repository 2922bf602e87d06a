"""The gather-and-expansion layer of BiSeNetV2 (Yu et al. 2020, arXiv 2004.02147, figure 5).

A ReLU follows the depthwise convolution, as in the implementations that reach the paper's scores; figure 5 does not draw it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GatherExpansion"]


class GatherExpansion(nn.Module):
    """3x3 convolution, depthwise expansion, 1x1 projection, added to the input; with stride 2 one more depthwise convolution on
    the way, and another before a 1x1 convolution beside it.

    >>> import torch
    >>> tuple(GatherExpansion(4, 8, stride=2)(torch.zeros(2, 4, 5, 8)).shape)
    (2, 8, 3, 4)
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, expansion: int = 6) -> None:
        super().__init__()
        linear = partial(ConvNormAct, act=None)
        wide = expansion * in_channels
        self.gather = ConvNormAct(in_channels, in_channels)
        if stride == 1:
            self.expand = nn.Sequential(ConvNormAct(in_channels, wide, groups=in_channels))
            self.shortcut = nn.Sequential()
        else:
            self.expand = nn.Sequential(
                linear(in_channels, wide, stride=stride, groups=in_channels),
                ConvNormAct(wide, wide, groups=wide),
            )
            self.shortcut = nn.Sequential(
                linear(in_channels, in_channels, stride=stride, groups=in_channels), linear(in_channels, channels, 1)
            )
        self.project = linear(wide, channels, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s / stride)."""
        expanded = self.expand(self.gather(features))  # (B, expansion in_channels, *s / stride)
        return self.act(self.project(expanded) + self.shortcut(features))  # type: ignore[no-any-return]
