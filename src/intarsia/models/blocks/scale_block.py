"""The up-sampling of EoMT (Kerssies et al. 2025, arXiv 2503.19108, section 3.2): twice as fine with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.channel_norm import ChannelNorm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ScaleBlock"]


class ScaleBlock(nn.Module):
    """Transposed convolution by 2, GELU, depth-wise convolution, layer norm.

    >>> import torch
    >>> tuple(ScaleBlock(8)(torch.zeros(1, 8, 3, 5)).shape)
    (1, 8, 6, 10)
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(width, width, 2, 2)
        self.act = nn.GELU()
        self.mix = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.norm = ChannelNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, *s) -> (B, width, 2 *s)."""
        return self.norm(self.mix(self.act(self.enlarge(features))))  # type: ignore[no-any-return]
