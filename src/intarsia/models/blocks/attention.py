"""Attention with several heads (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.2), what may be seen given as a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Attention"]


class Attention(nn.Module):
    """Each of Q queries becomes a mixture of the values (B, cells, width) whose keys it agrees with.

    `seen` (B, Q, cells) is True where a query may look; a query that may look nowhere looks everywhere.

    >>> import torch
    >>> tuple(Attention(8, heads=2)(torch.zeros(1, 5, 8), torch.zeros(1, 12, 8), torch.zeros(1, 12, 8)).shape)
    (1, 5, 8)
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.project = (nn.Linear(width, width) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.project):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, Q, width), twice (B, cells, width), (B, Q, cells) -> (B, Q, width)."""
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, cells, width) -> (B, heads, cells, width/heads)
            for layer, tokens in ((self.query, queries), (self.key, keys), (self.value, values))
        )
        if seen is not None:
            seen = (seen | ~seen.any(dim=2, keepdim=True))[:, None]  # (B, 1, Q, cells)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=seen)  # (B, heads, Q, width/heads)
        return self.project(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
