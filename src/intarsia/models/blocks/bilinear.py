"""Up-sampling by a transposed convolution that starts as bilinear interpolation (Long, Shelhamer, Darrell 2015, arXiv 1411.4038,
section 3.3).

One deviation: a border of repeated cells is added first and falls off again, so that the start is bilinear interpolation up to the
edge. The original pads the image by 100 pixels and crops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d, interpolate, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Bilinear", "bilinear_kernel"]


def bilinear_kernel(factor: int) -> Tensor:
    """(k, k), k = 2 factor, one less if factor is odd: what one cell gives to the finer cells around it.

    >>> bilinear_kernel(2)[0].tolist()
    [0.0625, 0.1875, 0.1875, 0.0625]
    """
    side = 2 * factor - factor % 2
    ramp = 1 - (torch.arange(side) - (side - 1) / 2).abs() / factor  # (k,)
    return ramp[:, None] * ramp  # (k, k)


class Bilinear(nn.Module):
    """Scores (B, channels, *s) to (B, channels, *size), cell by cell `factor` times finer, cropped on the right and bottom.

    `learnt`: a transposed convolution from every channel to every channel, which starts as the interpolation that it else remains.

    >>> tuple(Bilinear(4, 2)(torch.zeros(1, 4, 3, 5), (5, 10)).shape)
    (1, 4, 5, 10)
    """

    def __init__(self, channels: int, factor: int, *, learnt: bool = True) -> None:
        super().__init__()
        self.factor = factor
        self.weight: nn.Parameter | None = None
        if learnt:
            self.weight = nn.Parameter(torch.eye(channels)[:, :, None, None] * bilinear_kernel(factor))  # (C, C, k, k)

    def forward(self, scores: Tensor, size: Sequence[int]) -> Tensor:
        """(B, channels, *s) -> (B, channels, *size), size at most factor times s."""
        if self.weight is None:
            finer = interpolate(scores, scale_factor=float(self.factor), mode="bilinear")  # (B, channels, factor *s)
        else:
            scores = pad(scores, (1, 1, 1, 1), mode="replicate")  # (B, channels, *s + 2)
            margin = 3 * self.factor // 2  # the added cell, and the half cell by which a kernel reaches beyond its own
            finer = conv_transpose2d(scores, self.weight, stride=self.factor, padding=margin)  # (B, channels, factor *s)
        # cropped by padding with less than nothing: torch.export holds a slice for open sizes to be always or never of the whole
        return pad(finer, (0, size[1] - finer.shape[3], 0, size[0] - finer.shape[2]))  # (B, channels, *size)
