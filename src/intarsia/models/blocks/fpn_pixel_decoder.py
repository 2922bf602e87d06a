"""MaskFormer's pixel decoder (Cheng et al. 2021, arXiv 2107.06278, section 4.1): a feature pyramid (arXiv 1612.03144) of group
norms, whose finest level becomes the prototypes of the masks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import interpolate

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["FPNPixelDecoder", "group_norm"]

CHANNELS_OF_A_GROUP = 8
"""32 groups at the paper's width of 256."""


def group_norm(width: int) -> nn.GroupNorm:
    """Group norm (arXiv 1803.08494) in groups of 8 channels; all in one where 8 does not divide them."""
    return nn.GroupNorm(1 if width % CHANNELS_OF_A_GROUP else width // CHANNELS_OF_A_GROUP, width)


class FPNPixelDecoder(nn.Module):
    """The levels of an encoder, finest first, to the `seen` deepest ones, coarsest first, and the prototypes at the finest.

    >>> import torch
    >>> decoder = FPNPixelDecoder((4, 8, 16), width=8, prototypes=5, seen=2)
    >>> maps, prototypes = decoder([torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4), torch.zeros(1, 16, 2, 2)])
    >>> [tuple(each.shape) for each in maps], tuple(prototypes.shape)
    ([(1, 8, 2, 2), (1, 8, 4, 4)], (1, 5, 8, 8))
    """

    def __init__(self, in_channels: Sequence[int], width: int, prototypes: int, seen: int) -> None:
        super().__init__()
        self.seen = seen
        self.deepest = ConvNormAct(in_channels[-1], width, norm=group_norm)
        lateral = partial(ConvNormAct, channels=width, kernel=1, norm=group_norm, act=None)
        self.laterals = nn.ModuleList(lateral(channels) for channels in in_channels[:-1])
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=group_norm) for _ in in_channels[:-1])
        self.prototypes = nn.Conv2d(width, prototypes, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """One (B, in_channels[i], *s) for each level -> `seen` times (B, width, *s), and (B, prototypes, *s of the finest)."""
        deeper = self.deepest(levels[-1])  # (B, width, *s of the deepest)
        maps = [deeper]
        for lateral, smooth, level in zip(reversed(self.laterals), reversed(self.smooth), reversed(levels[:-1]), strict=True):
            deeper = smooth(lateral(level) + interpolate(deeper, size=level.shape[2:]))  # (B, width, *s of this level)
            maps.append(deeper)
        return maps[: self.seen], self.prototypes(deeper)
