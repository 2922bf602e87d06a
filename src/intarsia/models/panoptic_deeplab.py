"""Panoptic-DeepLab (Cheng, Collins, Zhu, Liu, Huang, Adam, Chen 2020, arXiv 1911.10194): a DeepLab that also says where the centre
of the object is that each pixel belongs to, so that objects are found without boxes.

Deviations from the authors' code: features are enlarged without aligned corners, both pyramids are as wide as their decoders and
depthwise separable, and the one of `SeparableConv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.output import Dense
from intarsia.models.blocks.aspp import dilations
from intarsia.models.blocks.atrous_decoder import AtrousDecoder
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.separable_conv import SeparableConv
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["PanopticDeepLab"]

UNIT = 8.0
"""The cells of offset that its head calls 1: offsets are of tens of cells, to which weights that begin near 0 take long to grow."""


class PanopticDeepLab(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), centre (B, 1, *s) and offset
    (B, 2, *s), `stride` times coarser.

    `encoder` is any timm network that can be dilated to `output_stride` 8 or 16, or one that is so fine anyway, 32 leaves it as it
    is; `weights` is "none", "timm" or the path of a local .safetensors or .pth file. Both decoders take every level of the encoder
    down to `stride`: 4 as in the paper, 2 for objects of a few pixels. `width` and `instance_width` are their channels (256 and 128
    in the paper), `rates` the dilations of their pyramids, by default (6, 12, 18) at stride 16. The centre is a heat, about 1 at
    the centre of an object and 0 away from any, the offset leads from each cell to its object's centre, (y, x) in cells: both
    are regressed as they are. Raises OptionError for an encoder that timm lacks or cannot dilate.

    >>> import torch
    >>> output = PanopticDeepLab.tiny(channels=5)(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(output.logits.shape), tuple(output.centre.shape), tuple(output.offset.shape)
    ((2, 5, 9, 13), (2, 1, 9, 13), (2, 2, 9, 13))
    """

    tasks: ClassVar[tuple[str, ...]] = ("panoptic", "instance", "semantic")
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0, "centre": 200.0, "offset": 0.3}
    origin: ClassVar[str] = "Cheng et al. 2020, arXiv 1911.10194"
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
        stride: int = 4,
        width: int = 256,
        instance_width: int = 128,
        rates: Sequence[int] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights, output_stride=output_stride)
        rates = dilations(output_stride) if rates is None else tuple(rates)
        widths, strides = self.encoder.channels, self.encoder.strides
        finer = {step: level for level, step in enumerate(strides) if stride <= step < strides[-1]}  # the last level of each stride
        self.skips = tuple(sorted(finer.values(), reverse=True))
        skip_widths = [widths[level] for level in self.skips]
        self.semantic = AtrousDecoder(widths[-1], skip_widths, width, rates, dropout=dropout)
        self.instance = AtrousDecoder(widths[-1], skip_widths, instance_width, rates, dropout=dropout)
        self.classify = _head(width, width, channels)
        self.centre = _head(instance_width, max(1, instance_width // 4), 1, start=0.001)  # no heat and no offset to begin with
        self.offset = _head(instance_width, max(1, instance_width // 4), 2, start=0.001)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "output_stride": output_stride,
            "stride": stride,
            "width": width,
            "instance_width": instance_width,
            "rates": list(rates),
            "dropout": dropout,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", width=32, instance_width=32, dropout=0.0)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to a Dense output at S / stride."""
        levels = self.encoder(self.normalise(images, valid, stats))
        skips = [levels[level] for level in self.skips]
        semantic, instance = self.semantic(levels[-1], skips), self.instance(levels[-1], skips)  # (B, width, *s) each
        return Dense(self.classify(semantic), centre=self.centre(instance), offset=UNIT * self.offset(instance))


def _head(in_channels: int, width: int, channels: int, *, start: float | None = None) -> nn.Sequential:
    """A separable 5x5 convolution and a 1x1 one, which begins with the deviation `start`."""
    last = nn.Conv2d(width, channels, 1)
    if start is not None:
        for tensor in last.parameters():
            nn.init.normal_(tensor, std=start)
    return nn.Sequential(SeparableConv(in_channels, width, 5), last)
