"""Summed-area tables (Crow 1984), by which the pixels in any box are counted at once. By the methods of tensors, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["share_within", "summed_area"]


def summed_area(flags: Tensor) -> Tensor:
    """(..., H + 1, W + 1) int64: how many of `flags` (..., H, W) are set above and left of each corner."""
    *batch, height, width = flags.shape
    table = flags.new_zeros((*batch, height + 1, width + 1)).long()
    table[..., 1:, 1:] = flags.long().cumsum(-2).cumsum(-1)
    return table


def share_within(table: Tensor, boxes: Tensor) -> Tensor:
    """(..., Q) the share of each of `boxes` (Q, 4), as far as it lies within the image, that is set; 0 for a box without a pixel.

    `boxes` are (x0, y0, x1, y1) in pixels, rounded to whole ones; `table` is (..., H + 1, W + 1) of `summed_area`.

    >>> import torch
    >>> table = summed_area(torch.tensor([[True, False, False, True]]))
    >>> share_within(table, torch.tensor([[-2.0, 0.0, 2.0, 1.0], [1.0, 0.0, 3.0, 1.0]])).tolist()
    [0.5, 0.0]
    """
    height, width = (length - 1 for length in table.shape[-2:])
    x0, x1 = (boxes[:, axis].round().long().clamp(0, width) for axis in (0, 2))  # (Q,) each
    y0, y1 = (boxes[:, axis].round().long().clamp(0, height) for axis in (1, 3))
    pixels = table[..., y1, x1] - table[..., y0, x1] - table[..., y1, x0] + table[..., y0, x0]  # (..., Q)
    return pixels / ((x1 - x0) * (y1 - y0)).clamp(min=1)
