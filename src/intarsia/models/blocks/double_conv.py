"""The two-convolution block of the U-Net (Ronneberger et al. 2015, arXiv 1505.04597, figure 1).

Two deviations, both usual today: the convolutions pad, so that sizes stay, and each is followed by batch norm (arXiv 1502.03167).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DoubleConv"]


class DoubleConv(nn.Module):
    """Twice 3x3 convolution, batch norm, ReLU; initialised with deviation sqrt(2 / N), N the inputs of a cell (section 3).

    >>> import torch
    >>> tuple(DoubleConv(3, 8)(torch.zeros(2, 3, 5, 7)).shape)
    (2, 8, 5, 7)
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)  # the norm brings a bias
        self.first_norm = ScarceNorm(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = ScarceNorm(channels)
        self.act = nn.ReLU(inplace=True)
        for conv in (self.first, self.second):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s)."""
        features = self.act(self.first_norm(self.first(features)))
        return self.act(self.second_norm(self.second(features)))  # type: ignore[no-any-return]
