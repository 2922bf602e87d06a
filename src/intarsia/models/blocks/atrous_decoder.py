"""The decoder of Panoptic-DeepLab (Cheng et al. 2020, arXiv 1911.10194, section 3.1 and figure 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.models.blocks.aspp import ASPP
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.separable_conv import SeparableConv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["AtrousDecoder"]


class AtrousDecoder(nn.Module):
    """`ASPP` of the deepest features, then skip by skip: enlarged, put beside the skip and fused by a separable 5x5 convolution.

    `skip_channels` are those of the skips, coarsest first. The first is reduced to a quarter of `width`, each further one to half
    as many channels as the one before: the paper's 64 and 32 of 256, 32 and 16 of 128.

    >>> decoder = AtrousDecoder(8, (6, 4), 16, (1, 2, 3))
    >>> tuple(decoder(torch.zeros(1, 8, 3, 4), [torch.zeros(1, 6, 5, 7), torch.zeros(1, 4, 9, 13)]).shape)
    (1, 16, 9, 13)
    """

    def __init__(
        self, in_channels: int, skip_channels: Sequence[int], width: int, rates: Sequence[int], *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = [max(1, width >> level) for level in range(2, 2 + len(skip_channels))]
        self.aspp = ASPP(in_channels, width, rates, separable=True, dropout=dropout)
        self.reduce = nn.ModuleList(ConvNormAct(given, kept, 1) for given, kept in zip(skip_channels, widths, strict=True))
        self.fuse = nn.ModuleList(SeparableConv(width + kept, width, 5) for kept in widths)

    def forward(self, features: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """(B, in_channels, *s) and the skips, each finer than the one before -> (B, width, *s of the last skip)."""
        features = self.aspp(features)
        for reduce, fuse, skip in zip(self.reduce, self.fuse, skips, strict=True):
            features = interpolate(features, size=skip.shape[2:], mode="bilinear")  # (B, width, *s of the skip)
            features = fuse(torch.cat([features, reduce(skip)], dim=1))
        return features
