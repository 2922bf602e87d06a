"""DeepLabv3+ (Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv 1802.02611): DeepLabv3 whose map meets finer features again.

Deviations from the paper: dropout in the pyramid, and the one of `SeparableConv`. segmentation_models.pytorch differs further: its
network is this one with align_corners=True, refine=1, fuse=1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.output import Dense
from intarsia.models.blocks.aspp import ASPP, dilations
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.separable_conv import SeparableConv
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["DeepLabV3Plus"]

SKIP_STRIDE = 4
"""Of the finer features, or next to it."""


class DeepLabV3Plus(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), four times coarser.

    `encoder` is any timm network that can be dilated to `output_stride` 8 or 16, or one that is so fine anyway (the paper's are
    resnet101 and xception65); `weights` is "none", "timm" or the path of a local .safetensors or .pth file. `rates` are the
    dilations of the pyramid, by default (6, 12, 18) at stride 16 and twice as much at 8. The finer features, the last level at
    stride 4 or less, are reduced to `skip_width` channels (table 1); `refine` 3x3 convolutions precede the meeting and `fuse`
    follow it (table 2). `separable` makes these and the pyramid's depthwise separable, as in the paper's fastest; `align_corners`
    says how features and scores are enlarged. Raises OptionError for an encoder that timm lacks or cannot dilate.

    >>> net = DeepLabV3Plus.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 9, 13)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Chen et al. 2018, arXiv 1802.02611"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        output_stride: int = 16,
        width: int = 256,
        skip_width: int = 48,
        rates: Sequence[int] | None = None,
        refine: int = 0,
        fuse: int = 2,
        separable: bool = True,
        dropout: float = 0.5,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights, output_stride=output_stride)
        rates = dilations(output_stride) if rates is None else tuple(rates)
        conv = SeparableConv if separable else ConvNormAct
        strides = self.encoder.strides
        self.skip_level = max((level for level, stride in enumerate(strides) if stride <= SKIP_STRIDE), default=0)
        self.aspp = ASPP(self.encoder.channels[-1], width, rates, separable=separable, dropout=dropout)
        self.refine = nn.Sequential(*(conv(width, width) for _ in range(refine)))
        self.skip = ConvNormAct(self.encoder.channels[self.skip_level], skip_width, 1)
        self.fuse = nn.Sequential(*(conv(width if index else width + skip_width, width) for index in range(fuse)))
        self.classify = nn.Conv2d(width if fuse else width + skip_width, channels, 1)
        self.align_corners = align_corners
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "output_stride": output_stride,
            "width": width,
            "skip_width": skip_width,
            "rates": list(rates),
            "refine": refine,
            "fuse": fuse,
            "separable": separable,
            "dropout": dropout,
            "align_corners": align_corners,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", width=32, skip_width=16, dropout=0.0)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / 4."""
        levels = self.encoder(self.normalise(images, valid, stats))
        features, skip = self.refine(self.aspp(levels[-1])), self.skip(levels[self.skip_level])
        features = interpolate(features, size=skip.shape[2:], mode="bilinear", align_corners=self.align_corners)  # (B, width, *s)
        features = self.fuse(torch.cat([features, skip], dim=1))  # (B, width, *s)
        return Dense(self.classify(features), align_corners=self.align_corners)  # (B, channels, *s)
