"""The head that Panoptic FPN adds to a feature pyramid for stuff (Kirillov et al. 2019, arXiv 1901.02446, figure 3)."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

import torch
from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["SemanticFPNHead"]

GROUPS = 32
"""Of group norm (arXiv 1803.08494); fewer where the width is no multiple, and where a group would be one channel, as that may be
of one cell."""


class SemanticFPNHead(nn.Module):
    """Levels of `in_channels` at `strides`, each the double of the one before, to a score for each of `channels` at the finest.

    Each level goes through a convolution to `width`, group norm, ReLU and twofold enlargement until it is as fine as the finest;
    the sum of all through a 1x1 convolution.

    >>> levels = [torch.zeros(1, 8, 16, 24), torch.zeros(1, 8, 8, 12), torch.zeros(1, 8, 4, 6)]
    >>> tuple(SemanticFPNHead(8, (4, 8, 16), 3, 32)(levels).shape)
    (1, 3, 16, 24)
    """

    def __init__(self, in_channels: int, strides: Sequence[int], channels: int, width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level(in_channels, width, round(log2(stride / strides[0]))) for stride in strides)
        self.classify = nn.Conv2d(width, channels, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, in_channels, *s of the level) for each -> (B, channels, *s of the finest)."""
        enlarged = [steps(level) for steps, level in zip(self.levels, levels, strict=True)]  # (B, width, *s of the finest) each
        return self.classify(torch.stack(enlarged).sum(dim=0))  # type: ignore[no-any-return]


def _level(in_channels: int, width: int, doublings: int) -> nn.Sequential:
    """The steps of one level; the finest has a convolution too."""
    steps: list[nn.Module] = []
    for place in range(max(1, doublings)):
        steps.append(ConvNormAct(width if place else in_channels, width, norm=_group_norm))
        if doublings:
            steps.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    return nn.Sequential(*steps)


def _group_norm(width: int) -> nn.GroupNorm:
    groups = next((count for count in range(min(GROUPS, width // 2), 1, -1) if width % count == 0), 1)
    return nn.GroupNorm(groups, width)
