"""The trunk of DDRNet (Hong et al. 2021, arXiv 2101.06085, table 1): from stride 8 on, two branches that exchange features."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import relu

from intarsia.models.blocks.bilateral_fusion import BilateralFusion
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.residual import Residual

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DualResolution"]


class DualResolution(nn.Module):
    """High-resolution features after the first fusion, those at the end of the branch, both at stride 8, and deep ones at 64; each
    before its ReLU.

    >>> import torch
    >>> [tuple(level.shape) for level in DualResolution(3, 4)(torch.zeros(1, 3, 33, 64))]
    [(1, 8, 5, 8), (1, 16, 5, 8), (1, 64, 1, 1)]
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        conv = partial(ConvNormAct, stride=2)
        w = width
        self.stem = nn.Sequential(conv(in_channels, w), conv(w, w), _pair(w, w), nn.ReLU(), _pair(w, 2 * w, stride=2), nn.ReLU())
        self.low = nn.ModuleList([_pair(2 * w, 4 * w, stride=2), _pair(4 * w, 8 * w, stride=2)])
        self.high = nn.ModuleList([_pair(2 * w, 2 * w), _pair(2 * w, 2 * w)])
        self.fusions = nn.ModuleList([BilateralFusion((2 * w, 4 * w)), BilateralFusion((2 * w, 4 * w, 8 * w))])
        self.low_end = Residual(8 * w, 16 * w, stride=2, hidden=8 * w, act=False)
        self.high_end = Residual(2 * w, 4 * w, hidden=2 * w, act=False)
        self.channels = (2 * w, 4 * w, 16 * w)
        self.strides = (8, 8, 64)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each of the three."""
        high = low = self.stem(pixels)  # (B, 2w, *S / 8)
        fused = []
        for high_stage, low_stage, fuse in zip(self.high, self.low, self.fusions, strict=True):
            high, low = fuse(high_stage(high), low_stage(low))  # (B, 2w, *S / 8), (B, 4w or 8w, *S / 16 or 32)
            fused.append(high)
            high, low = relu(high), relu(low)
        return [fused[0], self.high_end(high), self.low_end(low)]


def _pair(in_channels: int, channels: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(Residual(in_channels, channels, stride=stride), Residual(channels, channels, act=False))
