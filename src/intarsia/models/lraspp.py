"""LR-ASPP (Howard et al. 2019, arXiv 1905.02244, section 6.4): a light head that weighs channels by a look at the whole image.

One deviation, torchvision's: the look takes the mean of the whole image, where the paper pools over 49x49 cells in strides of
(16, 20); for the paper's sizes that is nearly the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.output import Dense
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["LRASPP"]

SKIP_STRIDE = 8
"""Of the finer features, or next to it."""


class LRASPP(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), eight times coarser.

    `encoder` is any timm network that can be dilated to `output_stride` 8 or 16, or one that is so fine anyway (the paper's are
    mobilenetv3_large_100 and mobilenetv3_small_100 at 16); `weights` is "none", "timm" or the path of a local .safetensors or .pth
    file. The deepest features get `width` channels; the finer ones are the first level at stride 8 or above. Scores of both are
    added. Raises OptionError for an encoder that timm lacks or cannot dilate.

    >>> import torch
    >>> net = LRASPP.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 5, 7)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Howard et al. 2019, arXiv 1905.02244"
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
        width: int = 128,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights, output_stride=output_stride)
        deepest, strides = self.encoder.channels[-1], self.encoder.strides
        self.skip_level = min((level for level, stride in enumerate(strides) if stride >= SKIP_STRIDE), default=0)
        self.point = ConvNormAct(deepest, width, 1)
        self.weigh = nn.Conv2d(deepest, width, 1, bias=False)
        self.classify = nn.ModuleDict(
            {"fine": nn.Conv2d(self.encoder.channels[self.skip_level], channels, 1), "coarse": nn.Conv2d(width, channels, 1)}
        )
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "output_stride": output_stride,
            "width": width,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", width=32)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / 8."""
        levels = self.encoder(self.normalise(images, valid, stats))
        fine, deepest = levels[self.skip_level], levels[-1]
        shares = self.weigh(deepest.mean(dim=(2, 3), keepdim=True)).sigmoid()  # (B, width, 1, 1)
        coarse = interpolate(self.point(deepest) * shares, size=fine.shape[2:], mode="bilinear")  # (B, width, *s)
        return Dense(self.classify["fine"](fine) + self.classify["coarse"](coarse))  # (B, channels, *s)
