"""DDRNet (Hong et al. 2021, arXiv 2101.06085): two resolutions that exchange features all along, and pooling over many windows.

The defaults are DDRNet-23-slim: with 19 classes 5.7 M parameters and, at 1024x2048, 36.3 G multiply-adds, as in table 5. A `width`
of 64 and a `head` of 128 make DDRNet-23. Deviations from the paper: logits at stride 8, their up-sampling belongs to loss and
decode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.output import Dense
from intarsia.models.blocks.deep_aggregation_pooling import DeepAggregationPooling
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.score_head import ScoreHead
from intarsia.models.encoders.dual_resolution import DualResolution
from intarsia.models.encoders.make import input_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["DDRNet"]


class DDRNet(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), s = S / 8.

    `width` is that of the first convolution, `pooling` that of a scale of the pyramid pooling, `head` that of the last convolution
    before the scores. In training with `supervised` the high-resolution branch is scored after its first fusion too, into `aux`
    (section 3.4).

    `DDRNet(**net.arguments)` builds the same network again, without the weights; `arguments` is plain enough for JSON.

    >>> import torch
    >>> net = DDRNet.tiny(channels=5)
    >>> output = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(output.logits.shape), len(output.aux), len(net.eval()(torch.zeros(2, 3, 33, 50)).aux)
    ((2, 5, 5, 7), 1, 0)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Hong et al. 2021, arXiv 2101.06085"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        width: int = 32,
        pooling: int = 128,
        head: int = 64,
        supervised: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = DualResolution(in_channels, width)
        early, high, deep = self.encoder.channels
        self.pool = DeepAggregationPooling(deep, pooling, high)
        self.head = ScoreHead(high, channels, head, dropout=dropout, before=True)
        self.early_head = ScoreHead(early, channels, head, dropout=dropout, before=True) if supervised else None
        self.stride = 8
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "width": width,
            "pooling": pooling,
            "head": head,
            "supervised": supervised,
            "dropout": dropout,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, width=6, pooling=16, head=16)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / 8."""
        early, high, deep = self.encoder(self.normalise(images, valid, stats))
        pooled = interpolate(self.pool(deep), size=high.shape[2:], mode="bilinear")  # (B, 4 width, *s)
        logits = self.head(high + pooled)  # (B, channels, *s)
        aux = (Dense(self.early_head(early)),) if self.training and self.early_head else ()
        return Dense(logits, aux=aux)
