"""The pyramid pooling module of PSPNet (Zhao et al. 2017, arXiv 1612.01105, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["PyramidPooling"]


class PyramidPooling(nn.Module):
    """The map, and beside it for each number of bins its means over bins x bins cells, through 1x1 convolution, enlarged again.

    `out_channels` is in_channels + len(bins) * channels. `align_corners` says how to enlarge, as `interpolate` defines it.

    >>> pool = PyramidPooling(8, 2)
    >>> pool.out_channels, tuple(pool(torch.zeros(1, 8, 5, 7)).shape)
    (16, (1, 16, 5, 7))
    """

    def __init__(self, in_channels: int, channels: int, bins: Sequence[int] = (1, 2, 3, 6), *, align_corners: bool = False) -> None:
        super().__init__()
        self.bins, self.align_corners = tuple(bins), align_corners
        self.out_channels = in_channels + len(self.bins) * channels
        self.levels = nn.ModuleList(ConvNormAct(in_channels, channels, 1) for _ in self.bins)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, out_channels, *s), the map itself first."""
        maps, size = [features], features.shape[2:]
        for bins, level in zip(self.bins, self.levels, strict=True):
            pooled = level(_means(features, bins))  # (B, channels, bins, bins)
            maps.append(interpolate(pooled, size=size, mode="bilinear", align_corners=self.align_corners))  # (B, channels, *s)
        return torch.cat(maps, dim=1)


def _means(features: Tensor, bins: int) -> Tensor:
    """(B, C, *s) -> (B, C, bins, bins): `adaptive_avg_pool2d`, but by products of matrices, which every export route knows for
    sizes left open; as quick where channels are last in memory."""
    rows, columns = (_shares(bins, length, features) for length in features.shape[2:])  # (bins, h), (bins, w)
    last = features.permute(0, 2, 3, 1)  # (B, h, w, C)
    down = (rows @ last.flatten(2)).view(-1, bins, *last.shape[2:])  # (B, bins, w, C)
    return (columns @ down).permute(0, 3, 1, 2)  # (B, C, bins, bins)


def _shares(bins: int, length: int, like: Tensor) -> Tensor:
    """(bins, length): what each of the cells in a row or column weighs in the mean of each bin.

    >>> _shares(2, 3, torch.zeros(1)).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    """
    cell = torch.arange(length, device=like.device)  # (length,)
    row = torch.arange(bins, device=like.device)[:, None]  # (bins, 1)
    start, stop = row * length // bins, ((row + 1) * length + bins - 1) // bins  # the latter rounded up
    return ((cell >= start) & (cell < stop)).to(like.dtype) / (stop - start)  # (bins, length)
