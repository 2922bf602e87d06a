"""Mask2Former's pixel decoder (Cheng et al. 2021, arXiv 2112.01527, section 3.2.2): the deepest levels of an encoder look at each
other by deformable attention; from the finest of them on a feature pyramid leads to the prototypes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.deformable_attention import DeformableAttention
from intarsia.models.blocks.fpn_pixel_decoder import group_norm
from intarsia.models.blocks.sine_position import sine_position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["DeformablePixelDecoder"]


class DeformablePixelDecoder(nn.Module):
    """The levels of an encoder, finest first, to the `seen` deepest ones, coarsest first, and the prototypes at the finest.

    >>> decoder = DeformablePixelDecoder((4, 8, 16), width=8, prototypes=5, seen=2, layers=1, heads=2, hidden=16)
    >>> maps, prototypes = decoder([torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4), torch.zeros(1, 16, 2, 2)])
    >>> [tuple(each.shape) for each in maps], tuple(prototypes.shape)
    ([(1, 8, 2, 2), (1, 8, 4, 4)], (1, 5, 8, 8))
    """

    def __init__(
        self, in_channels: Sequence[int], width: int, prototypes: int, seen: int, *, layers: int, heads: int, hidden: int
    ) -> None:
        super().__init__()
        deep, fine = in_channels[::-1][:seen], in_channels[::-1][seen:]  # coarsest first
        self.project = nn.ModuleList(nn.Sequential(nn.Conv2d(each, width, 1), group_norm(width)) for each in deep)
        self.levels = nn.Embedding(seen, width)
        self.layers = nn.ModuleList(_Layer(width, heads, seen, hidden) for _ in range(layers))
        lateral = partial(ConvNormAct, channels=width, kernel=1, norm=group_norm, act=None)
        self.laterals = nn.ModuleList(lateral(each) for each in fine)
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=group_norm) for _ in fine)
        self.prototypes = nn.Conv2d(width, prototypes, 1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """One (B, in_channels[i], *s) for each level -> `seen` times (B, width, *s), and (B, prototypes, *s of the finest)."""
        deepest = list(reversed(levels))
        maps = [project(level) for project, level in zip(self.project, deepest, strict=False)]  # (B, width, *s) each
        sizes = [(each.shape[2], each.shape[3]) for each in maps]
        positions = [
            (sine_position(each, each.shape[1]) + level).flatten(0, 1)  # (cells, width)
            for each, level in zip(maps, self.levels.weight, strict=True)
        ]
        tokens = torch.cat([each.flatten(2).transpose(1, 2) for each in maps], dim=1)  # (B, cells of all levels, width)
        places = torch.cat([_centres(each) for each in maps])  # (cells of all levels, 2)
        for layer in self.layers:
            tokens = layer(tokens, torch.cat(positions), places, sizes)
        parts = torch.split(tokens.transpose(1, 2), [height * width for height, width in sizes], dim=2)  # (B, width, cells) each
        maps = [part.reshape(*part.shape[:2], *size) for part, size in zip(parts, sizes, strict=True)]
        finer = maps[-1]
        for lateral, smooth, level in zip(self.laterals, self.smooth, deepest[len(maps) :], strict=True):
            enlarged = interpolate(finer, size=level.shape[2:], mode="bilinear", align_corners=False)
            finer = smooth(lateral(level) + enlarged)  # (B, width, *s of this level)
        return maps, self.prototypes(finer)


class _Layer(nn.Module):
    """Deformable attention, then a multi-layer perceptron; each is added to what it read and normalised."""

    def __init__(self, width: int, heads: int, levels: int, hidden: int) -> None:
        super().__init__()
        self.attention = DeformableAttention(width, heads, levels)
        self.attention_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.mlp_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, positions: Tensor, places: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """(B, cells, width) -> (B, cells, width)."""
        tokens = self.attention_norm(tokens + self.attention(tokens + positions, tokens, places, sizes))
        return self.mlp_norm(tokens + self.contract(relu(self.expand(tokens))))  # type: ignore[no-any-return]


def _centres(features: Tensor) -> Tensor:
    """(cells, 2) x and y of each cell's centre, as shares of the image."""
    height, width = features.shape[2:]
    rows = (torch.arange(height, device=features.device) + 0.5) / height
    columns = (torch.arange(width, device=features.device) + 0.5) / width
    return torch.stack([columns.expand(height, -1), rows[:, None].expand(-1, width)], dim=2).flatten(0, 1)
