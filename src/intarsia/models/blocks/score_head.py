"""The usual end of a network: a 3x3 convolution and the scoring convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ScoreHead"]


class ScoreHead(nn.Module):
    """3x3 convolution to `width`, norm, ReLU, dropout, 1x1 convolution to a score for each of `channels`.

    With `before` the features are normed and rectified first, for trunks that end without (arXiv 2101.06085, figure 4).

    >>> import torch
    >>> tuple(ScoreHead(4, 8, 5)(torch.zeros(1, 4, 3, 4)).shape)
    (1, 5, 3, 4)
    """

    def __init__(self, in_channels: int, width: int, channels: int, *, dropout: float = 0.0, before: bool = False) -> None:
        super().__init__()
        self.before = nn.Sequential(ScarceNorm(in_channels), nn.ReLU(inplace=True)) if before else nn.Sequential()
        self.conv = ConvNormAct(in_channels, width, norm=ScarceNorm)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s)."""
        return self.classify(self.dropout(self.conv(self.before(features))))  # type: ignore[no-any-return]
