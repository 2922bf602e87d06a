"""The deep aggregation pyramid pooling module of DDRNet (Hong et al. 2021, arXiv 2101.06085, equation 3 and figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DeepAggregationPooling"]


class DeepAggregationPooling(nn.Module):
    """The mean over ever larger windows, the last of them the image, each added to the scale before and convolved; all compressed.

    >>> import torch
    >>> tuple(DeepAggregationPooling(8, 4, 6)(torch.zeros(1, 8, 3, 4)).shape)
    (1, 6, 3, 4)
    """

    def __init__(self, in_channels: int, width: int, channels: int) -> None:
        super().__init__()
        windows = (nn.AvgPool2d(2 * stride + 1, stride, stride) for stride in (2, 4, 8))
        pools = (nn.Sequential(), *windows, nn.AdaptiveAvgPool2d(1))
        self.scales = nn.ModuleList(nn.Sequential(pool, *_conv(in_channels, width, 1)) for pool in pools)
        self.process = nn.ModuleList(nn.Sequential(*_conv(width, width, 3)) for _ in pools[1:])
        self.compress = nn.Sequential(*_conv(len(pools) * width, channels, 1))
        self.shortcut = nn.Sequential(*_conv(in_channels, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s)."""
        first, *others = (scale(features) for scale in self.scales)  # (B, width, *s and coarser)
        levels = [first]
        for process, pooled in zip(self.process, others, strict=True):
            levels.append(process(interpolate(pooled, size=features.shape[2:], mode="bilinear") + levels[-1]))  # (B, width, *s)
        return self.compress(torch.cat(levels, dim=1)) + self.shortcut(features)  # type: ignore[no-any-return]


def _conv(in_channels: int, channels: int, kernel: int) -> tuple[nn.Module, ...]:
    """Norm and ReLU come before the convolution."""
    bare = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
    return ScarceNorm(in_channels), nn.ReLU(inplace=True), bare
