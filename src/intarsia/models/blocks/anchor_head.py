"""The prediction head of YOLACT (Bolya et al. 2019, arXiv 1904.02689, section 3.2 and figure 4), one for all levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import conv2d

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AnchorHead"]


class AnchorHead(nn.Module):
    """A 3x3 convolution, then one each for the class scores, the box and the coefficients, -1 to 1, of each anchor of each cell.

    No norms: the levels, whose statistics differ, share it.

    >>> [tuple(part.shape) for part in AnchorHead(8, 3, channels=5, prototypes=4)(torch.zeros(2, 8, 2, 5))]
    [(2, 30, 5), (2, 30, 4), (2, 30, 4)]
    """

    def __init__(self, width: int, anchors: int, channels: int, prototypes: int) -> None:
        super().__init__()
        self.shared = ConvNormAct(width, width, norm=None)
        self.classify = _ByClass(width, channels, anchors)
        self.boxes, self.coefficients = (nn.Conv2d(width, anchors * each, 3, padding=1) for each in (4, prototypes))
        self.anchors = anchors
        for conv in (self.boxes, self.coefficients):
            nn.init.xavier_uniform_(conv.weight)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, width, *s) -> (B, Q, channels), (B, Q, 4) and (B, Q, K), the anchors of a cell side by side, the cells row by row."""
        features = self.shared(features)
        boxes, coefficients = (self._by_anchor(conv(features)) for conv in (self.boxes, self.coefficients))
        return self.classify(features), boxes, coefficients.tanh()

    def _by_anchor(self, maps: Tensor) -> Tensor:
        """(B, anchors C, *s) -> (B, Q, C)."""
        return maps.flatten(2).movedim(1, 2).reshape(len(maps), -1, maps.shape[1] // self.anchors)


class _ByClass(nn.Module):
    """(B, width, *s) -> (B, Q, channels): a 3x3 convolution whose weights have an axis for the class, so that other classes can be
    carried over by name."""

    def __init__(self, width: int, channels: int, anchors: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, anchors * width, 3, 3))  # of rank 4, for channels_last
        self.bias = nn.Parameter(torch.zeros(channels, anchors))
        nn.init.xavier_uniform_(self.weight.view(channels * anchors, width, 3, 3))

    def forward(self, features: Tensor) -> Tensor:
        weight = self.weight.reshape(self.bias.numel(), -1, 3, 3)  # (channels anchors, width, 3, 3)
        maps = conv2d(features, weight, self.bias.flatten(), padding=1)  # (B, channels anchors, *s)
        by_class = maps.view(len(maps), *self.bias.shape, -1)  # (B, channels, anchors, cells)
        return by_class.permute(0, 3, 2, 1).flatten(1, 2)  # (B, cells anchors, channels)
