"""The bilateral guided aggregation of BiSeNetV2 (Yu et al. 2020, arXiv 2004.02147, figure 6).

A ReLU follows the last convolution, as in the implementations that reach the paper's scores; figure 6 does not draw it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import interpolate

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GuidedAggregation"]


class GuidedAggregation(nn.Module):
    """Fine details weighted by coarse meaning, beside coarse meaning weighted by details made coarse; their sum, convolved.

    >>> import torch
    >>> tuple(GuidedAggregation(4)(torch.zeros(1, 4, 9, 8), torch.zeros(1, 4, 3, 2)).shape)
    (1, 4, 9, 8)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        linear = partial(ConvNormAct, channels, channels, act=None)
        bare = partial(nn.Conv2d, channels, channels, 1, bias=False)
        self.detail = nn.Sequential(linear(groups=channels), bare())
        self.detail_coarse = nn.Sequential(linear(stride=2), nn.AvgPool2d(3, stride=2, padding=1))
        self.semantic_fine = linear()
        self.semantic = nn.Sequential(linear(groups=channels), bare())
        self.last = ConvNormAct(channels, channels)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        """(B, channels, *s) and (B, channels, *s/4) -> (B, channels, *s)."""
        size = detail.shape[2:]
        gate = interpolate(self.semantic_fine(semantic), size=size, mode="bilinear")  # (B, channels, *s)
        fine = self.detail(detail) * gate.sigmoid()
        coarse = self.detail_coarse(detail) * self.semantic(semantic).sigmoid()  # (B, channels, *s/4)
        return self.last(fine + interpolate(coarse, size=size, mode="bilinear"))  # type: ignore[no-any-return]
