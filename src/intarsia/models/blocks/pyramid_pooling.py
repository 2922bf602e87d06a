"""The pyramid pooling module of PSPNet (Zhao et al. 2017, arXiv 1612.01105, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["PyramidPooling"]


class PyramidPooling(nn.Module):
    """The map, and beside it for each number of bins its means over bins x bins cells, through 1x1 convolution, enlarged again.

    `out_channels` is in_channels + len(bins) * channels. `align_corners` says how to enlarge, as `interpolate` defines it.

    >>> pool = PyramidPooling(8, 2)
    >>> pool.out_channels, tuple(pool(torch.zeros(1, 8, 5, 7)).shape)
    (16, (1, 16, 5, 7))
    """

    def __init__(self, in_channels: int, channels: int, bins: Sequence[int] = (1, 2, 3, 6), *, align_corners: bool = False) -> None:
        super().__init__()
        self.bins, self.align_corners = tuple(bins), align_corners
        self.out_channels = in_channels + len(self.bins) * channels
        self.levels = nn.ModuleList(ConvNormAct(in_channels, channels, 1, norm=ScarceNorm) for _ in self.bins)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, out_channels, *s), the map itself first."""
        maps, size = [features], features.shape[2:]
        for bins, level in zip(self.bins, self.levels, strict=True):
            pooled = level(adaptive_avg_pool2d(features, bins))  # (B, channels, bins, bins)
            maps.append(interpolate(pooled, size=size, mode="bilinear", align_corners=self.align_corners))  # (B, channels, *s)
        return torch.cat(maps, dim=1)
