"""The contracting path of the classic U-Net (arXiv 1505.04597), as an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.core.errors import OptionError
from intarsia.models.blocks.double_conv import DoubleConv
from intarsia.models.blocks.downsample import Downsample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Contracting"]


class Contracting(nn.Module):
    """Two convolutions at full size, then one downsample block for each further width. Raises OptionError for no widths.

    >>> import torch
    >>> [tuple(level.shape) for level in Contracting(3, (4, 8))(torch.zeros(1, 3, 5, 5))]
    [(1, 4, 5, 5), (1, 8, 3, 3)]
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        if not widths:
            raise OptionError("widths", expected="at least one number, finest level first", received=tuple(widths))
        self.channels = tuple(widths)
        self.strides = tuple(2**level for level in range(len(widths)))
        inputs = (in_channels, *widths)
        self.levels = nn.ModuleList(
            (Downsample if level else DoubleConv)(inputs[level], width) for level, width in enumerate(widths)
        )

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first."""
        features = []
        for level in self.levels:
            pixels = level(pixels)  # (B, channels[i], *s)
            features.append(pixels)
        return features
