"""Protonet of YOLACT (Bolya et al. 2019, arXiv 1904.02689, section 3.1 and figure 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.conv_norm_act import RELU, ConvNormAct

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PrototypeNet"]


class PrototypeNet(nn.Module):
    """Three 3x3 convolutions, twice as many cells each way, a fourth, and 1x1 to prototypes of at least 0; no norms.

    >>> import torch
    >>> tuple(PrototypeNet(8, 4)(torch.zeros(2, 8, 5, 7)).shape)
    (2, 4, 10, 14)
    """

    def __init__(self, width: int, prototypes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(ConvNormAct(width, width, norm=None) for _ in range(3)),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            ConvNormAct(width, width, norm=None),
            nn.Conv2d(width, prototypes, 1),
            RELU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, *s) -> (B, prototypes, 2 *s)."""
        return self.layers(features)  # type: ignore[no-any-return]
