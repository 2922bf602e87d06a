"""The dilated FCN of torchvision (fcn_resnet50, fcn_resnet101): the fully convolutional network of Long, Shelhamer, Darrell 2015
(arXiv 1411.4038) on an encoder kept fine by dilation (Yu, Koltun 2016, arXiv 1511.07122), in place of skips.

One deviation: dropout of whole maps, as in every `ScoreHead`, where torchvision's drops single values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.output import Dense
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.score_head import ScoreHead, auxiliary_head
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["DilatedFCN"]


class DilatedFCN(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), `output_stride` times coarser.

    `encoder` is any timm network that can be dilated to `output_stride` 8 or 16, or one that is so fine anyway (torchvision's are
    resnet50 and resnet101 at 8); `weights` is "none", "timm" or the path of a local .safetensors or .pth file. `aux_level` is the
    encoder's level, such as -2, that a second head reads in training. Raises OptionError for an encoder that timm lacks or cannot
    dilate.

    >>> import torch
    >>> net = DilatedFCN.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 5, 7)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Long et al. 2015, arXiv 1411.4038; dilation: Yu and Koltun 2016, arXiv 1511.07122"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        output_stride: int = 8,
        dropout: float = 0.1,
        aux_level: int | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights, output_stride=output_stride)
        self.head = ScoreHead(self.encoder.channels[-1], channels, dropout=dropout)
        self.aux_level = aux_level
        self.auxiliary = auxiliary_head(self.encoder.channels, aux_level, channels)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "output_stride": output_stride,
            "dropout": dropout,
            "aux_level": aux_level,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", dropout=0.0)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, S / output_stride)."""
        levels = self.encoder(self.normalise(images, valid, stats))
        logits = self.head(levels[-1])  # (B, channels, *s)
        if self.auxiliary is None or not self.training:
            return Dense(logits)
        return Dense(logits, aux=(Dense(self.auxiliary(levels[self.aux_level])),))
