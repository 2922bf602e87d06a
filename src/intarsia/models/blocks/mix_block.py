"""The block of the Mix Transformer (Xie et al. 2021, arXiv 2105.15203, section 3.1).

The tokens keep their grid, (B, *s, C), so that convolutions and linear layers read them without a copy. One addition to the paper:
a map smaller than a cell of the reduction is padded with zeros to one cell, so that no image is too small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from timm.layers.drop import DropPath
from torch import nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MixBlock"]


class Attention(nn.Module):
    """Efficient self-attention (equation 2): keys and values come from a map `reduction` times coarser."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = reduction
        self.query, self.key, self.value, self.project = (nn.Linear(width, width) for _ in range(4))
        if reduction > 1:
            self.reduce = nn.Conv2d(width, width, reduction, reduction)
            self.reduce_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, *s, C) -> (B, *s, C)."""
        coarse = self._reduced(tokens) if self.reduction > 1 else tokens  # (B, *s/reduction, C)
        query, key, value = (
            layer(source).flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, *s, C) -> (B, heads, cells, C/heads)
            for layer, source in ((self.query, tokens), (self.key, coarse), (self.value, coarse))
        )
        mixed = scaled_dot_product_attention(query, key, value).transpose(1, 2)  # (B, cells, heads, C/heads)
        return self.project(mixed.reshape(tokens.shape))  # type: ignore[no-any-return]

    def _reduced(self, tokens: Tensor) -> Tensor:
        height, width = tokens.shape[1:3]
        features = tokens.permute(0, 3, 1, 2)  # (B, *s, C) -> (B, C, *s)
        if min(height, width) < self.reduction:
            features = pad(features, (0, max(0, self.reduction - width), 0, max(0, self.reduction - height)))
        return self.reduce_norm(self.reduce(features).permute(0, 2, 3, 1))  # type: ignore[no-any-return]


class MixFFN(nn.Module):
    """A 3x3 depth-wise convolution between two linear layers tells each token where it is (equation 3)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, *s, C) -> (B, *s, C)."""
        mixed = self.mix(self.expand(tokens).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (B, *s, hidden)
        return self.contract(gelu(mixed))  # type: ignore[no-any-return]


class MixBlock(nn.Module):
    """Attention, then Mix-FFN, each behind a layer norm and added to what it read; with the chance `drop_path` one is left out.

    >>> import torch
    >>> tuple(MixBlock(8, heads=2, reduction=4, hidden=32)(torch.zeros(1, 3, 5, 8)).shape)
    (1, 3, 5, 8)
    """

    def __init__(self, width: int, heads: int, reduction: int, hidden: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads, reduction)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MixFFN(width, hidden)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, *s, C) -> (B, *s, C)."""
        tokens = tokens + self.drop_path(self.attention(self.attention_norm(tokens)))
        return tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))  # type: ignore[no-any-return]
