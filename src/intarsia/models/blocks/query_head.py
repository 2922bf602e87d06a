"""What is read from a query (Cheng et al. 2021, arXiv 2107.06278, section 3.2): its class, and how the prototypes make its mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["QueryHead"]


class QueryHead(nn.Module):
    """Queries (B, Q, width) to class logits (B, Q, channels), the last for no object, and coefficients (B, Q, prototypes).

    >>> import torch
    >>> [tuple(each.shape) for each in QueryHead(8, channels=6, prototypes=4)(torch.zeros(1, 5, 8))]
    [(1, 5, 6), (1, 5, 4)]
    """

    def __init__(self, width: int, channels: int, prototypes: int, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.classify = nn.Linear(width, channels)
        self.coefficients = nn.Sequential(
            nn.Linear(width, width), act(), nn.Linear(width, width), act(), nn.Linear(width, prototypes)
        )

    def forward(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """(B, Q, width) -> (B, Q, channels) and (B, Q, prototypes)."""
        return self.classify(queries), self.coefficients(queries)
