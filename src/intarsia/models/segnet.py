"""SegNet (Badrinarayanan, Kendall, Cipolla 2015, arXiv 1511.00561): a decoder that puts each feature back where its pool found it.

Two deviations: the convolutions of the decoder have no bias, because batch norm brings one; and pixels are scaled as the encoder's
weights expect, not normalised by their neighbourhood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.errors import OptionError
from intarsia.core.output import Dense
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.unpool import unpool
from intarsia.models.encoders.make import input_pixels
from intarsia.models.encoders.vgg import VGG, WIDTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["SegNet"]


class SegNet(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, H, W).

    `encoder` is a VGG, whose convolutions the decoder mirrors: the paper's is vgg16_bn, with 13. `weights` is "none", "timm" or the
    path of a local .safetensors or .pth file with timm's or torchvision's names. `widths` (five, finest first) make both halves
    narrow.

    Raises OptionError for another encoder or number of widths, CheckpointError for weights that cannot be had or do not fit.

    >>> import torch
    >>> tuple(SegNet.tiny(channels=5)(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 33, 50)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Badrinarayanan et al. 2015, arXiv 1511.00561"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "vgg16_bn",
        weights: str = "none",
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if widths is not None and len(widths) != 5:
            raise OptionError("widths", expected="5 numbers, one for each stage", received=tuple(widths))
        self.encoder = VGG(encoder, in_channels, weights, widths=widths or WIDTHS[:5])
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        finest, *coarser = self.encoder.widths
        first, *convs = self.encoder.stages
        self.decoder = nn.ModuleList(  # a stage ends in the width of the next finer one, and the finest in the classes
            nn.Sequential(*(ConvNormAct(width, width) for _ in range(count - 1)), ConvNormAct(width, output))
            for width, output, count in zip(coarser, self.encoder.widths, convs, strict=False)
        )
        self.decoder.insert(0, nn.Sequential(*(ConvNormAct(finest, finest) for _ in range(first - 1))))
        self.classify = nn.Conv2d(finest, channels, 3, padding=1)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "widths": None if widths is None else list(widths),
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, widths=(8, 16, 32, 32, 32))

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, H, W)."""
        pools = self.encoder.pools(self.normalise(images, valid, stats))
        features = pools[-1].features  # (B, widths[4], *S/32)
        for pool, stage in zip(reversed(pools), reversed(self.decoder), strict=True):
            features = stage(unpool(features, pool.indices, pool.size))  # (B, widths[i - 1], *s), s twice as fine
        return Dense(self.classify(features))  # (B, channels, *S)
