"""Dilated convolution of each channel by itself, in float32 on a CPU: in bfloat16, oneDNN's gradient of its weights is memory that
nobody wrote (torch 2.15; up to 1e30 where 1 is right), and it takes longer too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DilatedDepthwise", "mend_dilated"]


class _InFloat32(nn.Module):
    """Computes in float32 where autocast on a CPU would not."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *s) -> (B, C, *s)."""
        if features.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(features.float())  # type: ignore[no-any-return]
        return super().forward(features)  # type: ignore[no-any-return]


class DilatedDepthwise(_InFloat32, nn.Conv2d):
    """`nn.Conv2d` for `groups` = in_channels and a `dilation` above 1; its tensors are the same.

    >>> conv = DilatedDepthwise(4, 4, 3, padding=2, dilation=2, groups=4)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     print(conv(torch.zeros(1, 4, 5, 7)).dtype)
    torch.float32
    """


class _DilatedDepthwiseSame(_InFloat32, Conv2dSame):
    """The same with the padding of TensorFlow, in the `tf_` networks of timm."""


SAFE: dict[type, type] = {nn.Conv2d: DilatedDepthwise, Conv2dSame: _DilatedDepthwiseSame}


def mend_dilated(network: nn.Module) -> None:
    """Makes every dilated depthwise convolution of a network one of these, in place; weights and their names stay."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1 and max(module.dilation) > 1:
            module.__class__ = SAFE.get(type(module), type(module))
