"""Batch norm (arXiv 1502.03167) that bears maps of a few cells: of two values it would make -1 and 1, whatever they are; of one,
none. Every norm of our own is this one; its tensors are those of any batch norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import batch_norm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ScarceNorm"]


class ScarceNorm(nn.BatchNorm2d):
    """Batch norm that takes the running statistics, and leaves them alone, where training gives two values of a channel or one.

    Two small images pooled to 1x1 then still differ by how far they differ, and what lies before has a gradient.

    >>> import torch
    >>> ScarceNorm(1, eps=0)(torch.tensor([3.0, 5.0]).view(2, 1, 1, 1)).flatten().tolist()
    [3.0, 5.0]
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *s) -> (B, C, *s)."""
        if self.training and features.numel() <= 2 * self.num_features:
            return batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(features)
