"""The depthwise separable convolution of DeepLabv3+ (Chen et al. 2018, arXiv 1802.02611, section 3.1).

One deviation: no norm and activation between its two parts, as in segmentation_models.pytorch; the authors' own code has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.dilated_depthwise import DilatedDepthwise

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SeparableConv"]


class SeparableConv(nn.Module):
    """A convolution of each channel by itself, then 1x1 convolution, norm, activation: about 9 times fewer products than 3x3.

    >>> import torch
    >>> tuple(SeparableConv(4, 8, dilation=2)(torch.zeros(2, 4, 5, 7)).shape)
    (2, 8, 5, 7)
    """

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, *, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        conv = nn.Conv2d if dilation == 1 else DilatedDepthwise
        self.depthwise = conv(in_channels, in_channels, kernel, padding=padding, dilation=dilation, groups=in_channels, bias=False)
        self.pointwise = ConvNormAct(in_channels, channels, 1)
        nn.init.kaiming_normal_(self.depthwise.weight, nonlinearity="linear")

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s)."""
        return self.pointwise(self.depthwise(features))  # type: ignore[no-any-return]
