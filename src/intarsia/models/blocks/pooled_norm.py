"""Batch norm of pooled maps (arXiv 1502.03167): where a batch holds one value of each channel, it has no variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import batch_norm

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PooledNorm"]


class PooledNorm(nn.BatchNorm2d):
    """Batch norm that takes the running statistics, and leaves them alone, where training gives one image pooled to 1x1.

    >>> import torch
    >>> PooledNorm(2, eps=0)(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten().tolist()
    [3.0, 4.0]
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *s) -> (B, C, *s)."""
        if self.training and features.numel() == self.num_features:
            return batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(features)
