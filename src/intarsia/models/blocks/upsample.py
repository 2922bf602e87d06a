"""The upsample block of the U-Net with skip concatenation (arXiv 1505.04597).

One deviation: nearest-neighbour repetition in place of the 2x2 up-convolution. It has no parameters, leaves no checkerboard and
reaches the size of any skip, so odd sizes need neither padding nor cropping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.models.blocks.double_conv import DoubleConv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Upsample"]


class Upsample(nn.Module):
    """Enlarges the deeper features to the size of the skips, puts them side by side, then two convolutions.

    `skip_channels` are those of all skips together; where there is none, the caller says the size.

    >>> tuple(Upsample(8, 4, 6)(torch.zeros(2, 8, 3, 4), torch.zeros(2, 4, 5, 8)).shape)
    (2, 6, 5, 8)
    >>> tuple(Upsample(8, 0, 6)(torch.zeros(2, 8, 3, 4), size=(5, 8)).shape)
    (2, 6, 5, 8)
    """

    def __init__(self, in_channels: int, skip_channels: int, channels: int) -> None:
        super().__init__()
        self.convs = DoubleConv(in_channels + skip_channels, channels)

    def forward(self, features: Tensor, *skips: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """(B, in_channels, *s/2), and of each skip (B, its channels, *s) -> (B, channels, *s)."""
        features = interpolate(features, size=skips[0].shape[2:] if skips else size, mode="nearest")  # (B, in_channels, *s)
        return self.convs(torch.cat([features, *skips], dim=1) if skips else features)  # type: ignore[no-any-return]
