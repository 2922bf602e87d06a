"""The usual end of a network, and of auxiliary outputs (deep supervision; arXiv 1612.01105, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.core.errors import OptionError
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["ScoreHead", "auxiliary_head"]


class ScoreHead(nn.Module):
    """3x3 convolution to `width`, by default a quarter of the channels, norm, ReLU, dropout of whole maps, 1x1 convolution to a
    score for each of `channels`.

    With `before` the features are normed and rectified first, for trunks that end without (arXiv 2101.06085, figure 4).

    >>> import torch
    >>> tuple(ScoreHead(8, 3)(torch.zeros(1, 8, 5, 7)).shape)
    (1, 3, 5, 7)
    """

    def __init__(
        self, in_channels: int, channels: int, width: int | None = None, *, dropout: float = 0.1, before: bool = False
    ) -> None:
        super().__init__()
        width = width or max(1, in_channels // 4)
        self.before = nn.Sequential(ScarceNorm(in_channels), nn.ReLU(inplace=True)) if before else nn.Sequential()
        self.conv = ConvNormAct(in_channels, width)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s)."""
        return self.classify(self.dropout(self.conv(self.before(features))))  # type: ignore[no-any-return]


def auxiliary_head(widths: Sequence[int], level: int | None, channels: int) -> ScoreHead | None:
    """A head on one of an encoder's levels, of these widths; None for no level. Raises OptionError for a level that is not there.

    >>> auxiliary_head((4, 8), None, 3) is None
    True
    """
    if level is None:
        return None
    if not -len(widths) <= level < len(widths):
        raise OptionError(
            "aux_level", expected=f"None or a level of the encoder, -1 the deepest, up to -{len(widths)}", received=level
        )
    return ScoreHead(widths[level], channels)
