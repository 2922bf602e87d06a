"""The plain encoder-decoder of the tutorials, in no paper: down to coarse cells and back, with nothing to remember the way by.

It is the U-Net of this package (arXiv 1505.04597) without its skips, and with dropout at the bottom: what skips, or the pooling
indices of SegNet, are worth is what they add to this.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.output import Dense
from intarsia.models.blocks.double_conv import DoubleConv
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.encoders.contracting import Contracting
from intarsia.models.encoders.make import input_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["EncoderDecoder"]


class EncoderDecoder(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, H, W).

    For each of `widths` two convolutions, with max pooling between; `dropout` on the coarsest; then nearest up-sampling and two
    convolutions for each width back. Raises OptionError for no widths.

    >>> import torch
    >>> tuple(EncoderDecoder.tiny(channels=5)(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 33, 50)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "tutorials; U-Net without skips"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        widths: Sequence[int] = (64, 128, 256, 512),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = Contracting(in_channels, widths)
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.ModuleList(DoubleConv(coarse, fine) for fine, coarse in pairwise(widths))
        self.classify = nn.Conv2d(widths[0], channels, 1)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "widths": list(widths),
            "dropout": dropout,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, widths=(8, 16, 32, 64), dropout=0.1)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, H, W)."""
        *finer, features = self.encoder(self.normalise(images, valid, stats))
        features = self.dropout(features)  # (B, widths[-1], *s)
        for block, level in zip(reversed(self.decoder), reversed(finer), strict=True):
            features = block(interpolate(features, size=level.shape[2:], mode="nearest"))  # (B, widths[i], *s), s twice as fine
        return Dense(self.classify(features))  # (B, channels, H, W)
