"""DeepLabv3 (Chen, Papandreou, Schroff, Adam 2017, arXiv 1706.05587): one map, kept fine by dilation, seen at several scales.

Deviations from the paper, both torchvision's and segmentation_models.pytorch's: a 3x3 convolution before the scores and dropout in
the pyramid. No multi-grid (section 4.2): the convolutions of a stage share their dilation. One or two images in a batch, pooled
to one cell each, are normed by the running statistics (`ScarceNorm`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.output import Dense
from intarsia.models.blocks.aspp import ASPP, dilations
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.score_head import auxiliary_head
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["DeepLabV3"]


class DeepLabV3(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), `output_stride` times coarser.

    `encoder` is any timm network that can be dilated to `output_stride` 8 or 16, or one that is so fine anyway (the paper's are
    resnet50 and resnet101; 16 to train and 8 to evaluate); `weights` is "none", "timm" or the path of a local .safetensors or .pth
    file. `rates` are the dilations of the pyramid, by default (6, 12, 18) at stride 16 and twice as much at 8 (section 3.3);
    `separable` makes its convolutions depthwise separable. `aux_level` is the encoder's level, such as -2, that a second head reads
    while training. Raises OptionError for an encoder that timm lacks or cannot dilate.

    >>> import torch
    >>> net = DeepLabV3.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 3, 4)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Chen et al. 2017, arXiv 1706.05587"
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
        rates: Sequence[int] | None = None,
        separable: bool = False,
        dropout: float = 0.5,
        aux_level: int | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights, output_stride=output_stride)
        rates = dilations(output_stride) if rates is None else tuple(rates)
        self.aspp = ASPP(self.encoder.channels[-1], width, rates, separable=separable, dropout=dropout)
        self.refine = ConvNormAct(width, width)
        self.classify = nn.Conv2d(width, channels, 1)
        self.aux_level = aux_level
        self.auxiliary = auxiliary_head(self.encoder.channels, aux_level, channels)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "output_stride": output_stride,
            "width": width,
            "rates": list(rates),
            "separable": separable,
            "dropout": dropout,
            "aux_level": aux_level,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", width=16, dropout=0.0, aux_level=-2)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, S / output_stride)."""
        levels = self.encoder(self.normalise(images, valid, stats))
        logits = self.classify(self.refine(self.aspp(levels[-1])))  # (B, channels, *s)
        if self.auxiliary is None or not self.training:
            return Dense(logits)
        return Dense(logits, aux=(Dense(self.auxiliary(levels[self.aux_level])),))
