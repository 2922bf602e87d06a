"""The downsample block of the U-Net (arXiv 1505.04597)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.double_conv import DoubleConv

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Downsample"]


class Downsample(nn.Module):
    """2x2 max pooling, then two convolutions. An odd size is rounded up, so no border pixel is lost and no size is too small.

    >>> import torch
    >>> tuple(Downsample(4, 8)(torch.zeros(2, 4, 5, 8)).shape)
    (2, 8, 3, 4)
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.convs = DoubleConv(in_channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s/2)."""
        return self.convs(self.pool(features))  # type: ignore[no-any-return]
