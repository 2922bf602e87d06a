"""The block that most networks are built of: a convolution, a norm, an activation.

The norm is batch norm (arXiv 1502.03167), by default `ScarceNorm`, so that one small image can be trained on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["ConvNormAct"]

RELU = partial(nn.ReLU, inplace=True)


class ConvNormAct(nn.Module):
    """Padded convolution, norm, activation; `norm` and `act` make theirs, or are None to leave it out (no norm: a bias instead).

    The convolution is initialised with deviation sqrt(2 / N), N the inputs of a cell. An even `kernel` loses a border cell.

    >>> import torch
    >>> tuple(ConvNormAct(3, 8, dilation=2)(torch.zeros(2, 3, 5, 7)).shape)
    (2, 8, 5, 7)
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm: Callable[[int], nn.Module] | None = ScarceNorm,
        act: Callable[[], nn.Module] | None = RELU,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(
            in_channels, channels, kernel, stride, padding, dilation=dilation, groups=groups, bias=norm is None
        )  # a norm brings a bias
        self.norm = norm(channels) if norm else nn.Identity()
        self.act = act() if act else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, channels, *s / stride)."""
        return self.act(self.norm(self.conv(features)))  # type: ignore[no-any-return]
