"""The unpooling of SegNet (Badrinarayanan, Kendall, Cipolla 2015, arXiv 1511.00561, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["unpool"]


def unpool(features: Tensor, indices: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, *s/2) -> (B, C, *size): each value to the place where its maximum stood, as `max_pool2d` remembers it; 0 elsewhere.

    Equal to torch's `max_unpool2d`, but by `scatter`, which every export route knows.

    >>> import torch
    >>> pooled, indices = torch.nn.functional.max_pool2d(torch.tensor([[[[1.0, 4.0], [2.0, 3.0]]]]), 2, return_indices=True)
    >>> unpool(pooled, indices, (2, 2)).tolist()
    [[[[0.0, 4.0], [0.0, 0.0]]]]
    """
    empty = features.new_zeros(*features.shape[:2], size[0] * size[1])  # (B, C, cells of s)
    placed = empty.scatter(2, indices.flatten(2), features.flatten(2))  # (B, C, *s/2) -> (B, C, cells of s)
    return placed.view(*features.shape[:2], *size)  # (B, C, cells of s) -> (B, C, *s)
