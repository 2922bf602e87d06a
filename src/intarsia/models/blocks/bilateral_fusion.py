"""The bilateral fusion of DDRNet (Hong et al. 2021, arXiv 2101.06085, equations 1 and 2)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import interpolate, relu

from intarsia.models.blocks.conv_norm_act import RELU, ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BilateralFusion"]


class BilateralFusion(nn.Module):
    """Adds high-resolution features, made coarse by convolutions, to the low ones, and these, compressed and enlarged, to them.

    `path` are the channels from high to low resolution, one more than there are halvings between.

    >>> import torch
    >>> high, low = BilateralFusion((4, 6, 8))(torch.zeros(1, 4, 9, 8), torch.zeros(1, 8, 3, 2))
    >>> tuple(high.shape), tuple(low.shape)
    ((1, 4, 9, 8), (1, 8, 3, 2))
    """

    def __init__(self, path: tuple[int, ...]) -> None:
        super().__init__()
        acts = [RELU] * (len(path) - 2) + [None]
        self.down = nn.Sequential(*(ConvNormAct(*pair, stride=2, act=act) for pair, act in zip(pairwise(path), acts, strict=True)))
        self.compress = ConvNormAct(path[-1], path[0], 1, act=None)

    def forward(self, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """(B, path[0], *s) and (B, path[-1], *s / 2^n), both before their ReLU, to the same."""
        enlarged = interpolate(self.compress(relu(low)), size=high.shape[2:], mode="bilinear")  # (B, path[0], *s)
        return high + enlarged, low + self.down(relu(high))
