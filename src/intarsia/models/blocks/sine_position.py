"""Where a cell is, in sines (Vaswani et al. 2017, arXiv 1706.03762, section 3.5; for two axes Carion et al. 2020, arXiv
2005.12872)."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["sine_position"]

TEMPERATURE = 10000.0


def sine_position(features: Tensor, channels: int) -> Tensor:
    """(*s, channels) for a map (B, C, *s), s = (H, W): half of the channels tell the row, half the column, sine and cosine in turn.

    Rows and columns count from 1 and are scaled to 2 pi, so that a cell is at the same place however fine the map is. `channels` is
    a multiple of 4.

    >>> sine_position(torch.zeros(1, 3, 1, 2), 4)[0].round(decimals=2).abs().tolist()  # the last row, first the middle column
    [[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]
    """
    height, width = features.shape[2:]
    half = channels // 2
    steps = torch.arange(half, device=features.device)
    periods = TEMPERATURE ** (2 * (steps // 2) / half)  # (half,), each for a sine and a cosine

    def waves(cells: int) -> Tensor:
        places = torch.arange(1, cells + 1, device=features.device, dtype=torch.float32)
        angles = (places / (cells + 1e-6) * 2 * pi)[:, None] / periods  # (cells, half)
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)  # (cells, half)

    rows, columns = waves(height), waves(width)
    both = [rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)]  # 2 x (*s, half)
    return torch.cat(both, dim=2)  # (*s, channels)
