"""The prediction head of YOLACT (Bolya et al. 2019, arXiv 1904.02689, section 3.2 and figure 4), one for all levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AnchorHead"]


class AnchorHead(nn.Module):
    """A 3x3 convolution, then one each for the class scores, the box and the coefficients, -1 to 1, of each anchor of each cell.

    No norms: the levels, whose statistics differ, share it.

    >>> import torch
    >>> [tuple(part.shape) for part in AnchorHead(8, 3, channels=5, prototypes=4)(torch.zeros(2, 8, 2, 5))]
    [(2, 30, 5), (2, 30, 4), (2, 30, 4)]
    """

    def __init__(self, width: int, anchors: int, channels: int, prototypes: int) -> None:
        super().__init__()
        self.shared = ConvNormAct(width, width, norm=None)
        self.classes, self.boxes, self.coefficients = (
            nn.Conv2d(width, anchors * each, 3, padding=1) for each in (channels, 4, prototypes)
        )
        self.anchors = anchors
        for conv in (self.classes, self.boxes, self.coefficients):
            nn.init.xavier_uniform_(conv.weight)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, width, *s) -> (B, Q, channels), (B, Q, 4) and (B, Q, K), the anchors of a cell side by side, the cells row by row."""
        features = self.shared(features)
        classes, boxes, coefficients = (self._by_anchor(conv(features)) for conv in (self.classes, self.boxes, self.coefficients))
        return classes, boxes, coefficients.tanh()

    def _by_anchor(self, maps: Tensor) -> Tensor:
        """(B, anchors C, *s) -> (B, Q, C)."""
        return maps.flatten(2).movedim(1, 2).reshape(len(maps), -1, maps.shape[1] // self.anchors)
