"""Mask annealing (EoMT, Kerssies et al. 2025, arXiv 2503.19108, section 3.3): masked attention that is taken away block by block as
training goes on, so that in the end no masks are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Annealed"]


class Annealed(nn.Module):
    """What the queries of `blocks` blocks may look at in training, by how far it is: whoever trains fills `progress`, 0 to 1.

    Training is divided into `blocks` + 2 equal parts: within the part after the next of its number a block's chance of being masked
    falls from 1 to 0, the first block's first, by (1 - t) ** `power`; the last part is free of masks. `progress` is 1 from the
    start, so without a training that tells, nothing is masked; it is no weight and is not saved.

    >>> annealed = Annealed(2)
    >>> annealed.progress.fill_(3 / 8).item(), [round(annealed.chance(block).item(), 2) for block in range(2)]
    (0.375, [0.54, 1.0])
    """

    progress: Tensor

    def __init__(self, blocks: int, power: float = 0.9) -> None:
        super().__init__()
        self.blocks = blocks
        self.power = power
        self.register_buffer("progress", torch.ones(()), persistent=False)

    def chance(self, block: int) -> Tensor:
        """() of a query's being held to its mask in a block."""
        gone = self.progress * (self.blocks + 2) - (block + 1)  # 0 at the beginning of the block's own part, 1 at its end
        return (1 - gone).clamp(0, 1) ** self.power

    def forward(self, seen: Tensor, block: int) -> Tensor:
        """(B, Q, cells) where the masks are -> where the queries of a block may look: those set free, at random, everywhere."""
        free = torch.rand(*seen.shape[:2], 1, device=seen.device) >= self.chance(block)  # (B, Q, 1)
        return seen | free
