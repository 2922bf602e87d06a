"""The residual blocks of ResNet (He et al. 2016, arXiv 1512.03385, figure 5)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Residual"]


class Residual(nn.Module):
    """Two 3x3 convolutions, or with `hidden` a bottleneck of 1x1, 3x3 and 1x1; added to the input, projected where it does not fit.

    `act` False leaves out the last ReLU, for sums of several blocks.

    >>> import torch
    >>> tuple(Residual(4, 8, stride=2)(torch.zeros(2, 4, 5, 8)).shape)
    (2, 8, 3, 4)
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, hidden: int | None = None, act: bool = True) -> None:
        super().__init__()
        linear = partial(ConvNormAct, act=None)
        if hidden is None:
            self.convs = nn.Sequential(ConvNormAct(in_channels, channels, stride=stride), linear(channels, channels))
        else:
            self.convs = nn.Sequential(
                ConvNormAct(in_channels, hidden, 1), ConvNormAct(hidden, hidden, stride=stride), linear(hidden, channels, 1)
            )
        if stride == 1 and in_channels == channels:
            self.shortcut = nn.Sequential()
        else:  # every stride-th cell first: the gradient of a strided 1x1 convolution spoils memory (oneDNN issue 6035)
            self.shortcut = nn.Sequential(nn.AvgPool2d(1, stride), linear(in_channels, channels, 1))
        self.act = nn.ReLU(inplace=True) if act else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s / stride)."""
        return self.act(self.convs(features) + self.shortcut(features))  # type: ignore[no-any-return]
