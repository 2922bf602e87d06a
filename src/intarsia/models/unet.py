"""U-Net (Ronneberger, Fischer, Brox 2015, arXiv 1505.04597): an encoder, and a decoder that meets each of its levels again.

Deviations from the paper, each in its block: padded convolutions, batch norm, nearest-neighbour up-sampling. On a timm encoder the
network ends at the finest level that the encoder has (stride 2 for MobileNetV2): the exact up-sampling belongs to loss and decode.
With `full_size` it goes on to the image's own size, without a skip, which with a `head_kernel` of 3 is the network of
segmentation_models.pytorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.output import Dense
from intarsia.models._pyramid import pyramid
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.upsample import Upsample
from intarsia.models.encoders.make import input_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["UNet"]

CLASSIC = (64, 128, 256, 512, 1024)
"""The paper's widths."""


class UNet(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s).

    `encoder` is None for the classic contracting path or the name of any timm network; `weights` is "none", "timm" or the path of a
    local .safetensors or .pth file. `widths` are channels, finest level first: of the levels of the classic network, or of the
    decoder on an encoder, one for each level but the coarsest, and with `full_size` one more. `head_kernel` is the size of the
    scoring convolution, odd. `pixels` defaults to the scaling that the encoder's weights expect.

    `UNet(**net.arguments)` builds the same network again, without the weights; `arguments` is plain enough for JSON.
    Raises OptionError for widths that do not fit, an unknown encoder, or weights without one.

    >>> import torch
    >>> net = UNet.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 33, 50)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Ronneberger et al. 2015, arXiv 1505.04597"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str | None = None,
        weights: str = "none",
        widths: Sequence[int] | None = None,
        dropout: float = 0.0,
        full_size: bool = False,
        head_kernel: int = 1,
    ) -> None:
        super().__init__()
        widths = tuple((() if encoder else CLASSIC) if widths is None else widths)  # none: as the encoder's levels ask
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder, decoder, last = pyramid(encoder, in_channels, weights, widths, full_size=full_size)
        *skips, deepest = self.encoder.channels
        inputs = (*decoder[1:], deepest)
        self.decoder = nn.ModuleList(Upsample(*level) for level in zip(inputs, skips, decoder, strict=True))
        self.enlarge = Upsample(decoder[0], 0, last) if last else None
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(last or decoder[0], channels, head_kernel, padding=head_kernel // 2)
        self.stride = 1 if last else self.encoder.strides[0]
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "widths": list(widths) or None,
            "dropout": dropout,
            "full_size": full_size,
            "head_kernel": head_kernel,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, widths=(8, 16, 32, 64))

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / stride."""
        *skips, features = self.encoder(self.normalise(images, valid, stats))
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            features = block(features, skip)  # (B, widths[i], *s)
        if self.enlarge:
            features = self.enlarge(features, size=images.shape[2:])  # (B, widths[0], *S)
        return Dense(self.classify(self.dropout(features)))  # (B, channels, *s)
