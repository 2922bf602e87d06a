"""The layer of Mask2Former's decoder (Cheng et al. 2021, arXiv 2112.01527, section 3.2): each query looks at what it holds for its
own mask, then the queries look at each other.

Against DETR's (arXiv 2005.12872) cross-attention is masked (equation 2) and comes before self-attention, and there is no dropout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import relu

from intarsia.models.blocks.attention import Attention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MaskedAttention"]


class MaskedAttention(nn.Module):
    """Masked cross-attention, self-attention, a multi-layer perceptron; each is added to what it read and normalised.

    >>> import torch
    >>> queries, cells = torch.zeros(1, 5, 8), torch.zeros(1, 12, 8)
    >>> tuple(MaskedAttention(8, heads=2, hidden=16)(queries, queries, cells, cells, torch.ones(1, 5, 12).bool()).shape)
    (1, 5, 8)
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.cross_attention = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, heads)
        self.self_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.mlp_norm = nn.LayerNorm(width)
        for layer in (self.expand, self.contract):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, queries: Tensor, places: Tensor, cells: Tensor, keys: Tensor, seen: Tensor | None) -> Tensor:
        """Queries (B, Q, width) and their learnt places, the same; cells (B, cells, width) and the same with their positions added;
        `seen` (B, Q, cells), True where a query may look -> (B, Q, width)."""
        queries = self.cross_norm(queries + self.cross_attention(queries + places, keys, cells, seen))
        placed = queries + places
        queries = self.self_norm(queries + self.self_attention(placed, placed, queries))
        return self.mlp_norm(queries + self.contract(relu(self.expand(queries))))  # type: ignore[no-any-return]
