"""A feature pyramid (Lin et al. 2017, arXiv 1612.03144, section 3): each level of an encoder with what the coarser ones know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["FeaturePyramid"]


class FeaturePyramid(nn.Module):
    """Levels of `in_channels` each, finest first, to as many of `width` and one more, every second cell of the coarsest.

    `norm` puts batch norm behind each convolution in place of a bias.

    >>> import torch
    >>> levels = FeaturePyramid((8, 16), 4)([torch.zeros(1, 8, 9, 6), torch.zeros(1, 16, 5, 3)])
    >>> [tuple(level.shape) for level in levels]
    [(1, 4, 9, 6), (1, 4, 5, 3), (1, 4, 3, 2)]
    """

    def __init__(self, in_channels: Sequence[int], width: int, *, norm: bool = False) -> None:
        super().__init__()
        self.network = FeaturePyramidNetwork(
            list(in_channels), width, extra_blocks=LastLevelMaxPool(), norm_layer=ScarceNorm if norm else None
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """(B, in_channels[i], *s of the level) for each -> (B, width, *s of the level) for each and one more."""
        return list(self.network({str(place): level for place, level in enumerate(levels)}).values())
