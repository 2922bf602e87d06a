"""Attention that looks at a few places alone, on several levels at once (Deformable DETR, Zhu et al. 2020, arXiv 2010.04159,
section 4.1, equation 3), in plain torch."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["DeformableAttention"]


class DeformableAttention(nn.Module):
    """Each token looks, by each head, at `points` places on each of `levels` levels, near its own place, at offsets that it says.

    Offsets count cells of the level looked at. In the beginning they are the same for every token: the heads look in as many
    directions, the points 1, 2, ... cells away.

    >>> tokens, sizes = torch.zeros(1, 7, 8), [(1, 3), (2, 2)]
    >>> tuple(DeformableAttention(8, heads=2, levels=2)(tokens, tokens, torch.full((7, 2), 0.5), sizes).shape)
    (1, 7, 8)
    """

    def __init__(self, width: int, heads: int, levels: int, points: int = 4) -> None:
        super().__init__()
        self.shape = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)
        angles = torch.arange(heads) * (2 * pi / heads)
        ways = torch.stack([angles.cos(), angles.sin()], dim=1)  # (heads, 2)
        ways = ways / ways.abs().amax(dim=1, keepdim=True)
        steps = torch.arange(1, points + 1)[:, None]  # (points, 1)
        start = (ways[:, None, None] * steps).expand(heads, levels, points, 2)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        for layer in (self.value, self.project):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.offsets.bias.copy_(start.flatten())

    def forward(self, queries: Tensor, tokens: Tensor, places: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Queries (B, Q, width) at `places` (Q, 2), x and y as shares of the image; tokens (B, cells, width), the levels of `sizes`
        one after the other -> (B, Q, width)."""
        heads, levels, points = self.shape
        batch, count = queries.shape[:2]
        offsets = self.offsets(queries).view(batch, count, heads, levels, points, 2)
        weights = self.weights(queries).unflatten(2, (heads, levels * points)).softmax(dim=3)  # (B, Q, heads, levels points)
        weights = weights.transpose(1, 2).flatten(0, 1)[:, None]  # (B heads, 1, Q, levels points)
        values = self.value(tokens).unflatten(2, (heads, -1)).permute(0, 2, 3, 1).flatten(0, 1)  # (B heads, width/heads, cells)
        seen = []
        for level, ((height, width), part) in enumerate(zip(sizes, values.split([h * w for h, w in sizes], dim=2), strict=True)):
            across, down = offsets[:, :, :, level].unbind(dim=4)  # twice (B, Q, heads, points)
            steps = torch.stack([across / width, down / height], dim=4)  # (B, Q, heads, points, 2), shares of the image
            where = places[:, None, None] + steps
            grid = 2 * where.transpose(1, 2).flatten(0, 1) - 1  # (B heads, Q, points, 2)
            seen.append(grid_sample(part.unflatten(2, (height, width)), grid, align_corners=False))  # (B heads, C, Q, points)
        mixed = (torch.cat(seen, dim=3) * weights).sum(dim=3)  # (B heads, width/heads, Q)
        return self.project(mixed.unflatten(0, (batch, heads)).flatten(1, 2).transpose(1, 2))  # type: ignore[no-any-return]
