"""U-Net++ (Zhou et al. 2018, arXiv 1807.10165): a U-Net whose skips are dense chains of convolutions, trained at every depth.

Deviations from the paper, each in its block: batch norm, and nearest-neighbour up-sampling in place of 2x2 up-convolutions. On a
timm encoder the network ends at its finest level, unless `full_size`; the last node of each level then has the decoder's width, the
nodes before it the encoder's, as in segmentation_models.pytorch, whose network this is with `full_size` and a `head_kernel` of 3.
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

__all__ = ["UNetPlusPlus"]

CLASSIC = (32, 64, 128, 256, 512)
"""The paper's widths."""


class UNetPlusPlus(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s).

    Node X(i, j) of level i (0 the finest) and column j (0 the encoder) joins X(i, 0) ... X(i, j-1) and the enlarged X(i+1, j-1)
    (equation 1). In training with `deep_supervision` every X(0, j) but the last is scored too, into `aux` (section 3.2). All other
    options are those of `UNet`.

    `UNetPlusPlus(**net.arguments)` builds the same network again, without the weights; `arguments` is plain enough for JSON.
    Raises OptionError for widths that do not fit, an unknown encoder, or weights without one.

    >>> import torch
    >>> net = UNetPlusPlus.tiny(channels=5)
    >>> output = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(output.logits.shape), len(output.aux), len(net.eval()(torch.zeros(2, 3, 33, 50)).aux)
    ((2, 5, 33, 50), 2, 0)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Zhou et al. 2018, arXiv 1807.10165"
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
        deep_supervision: bool = True,
        full_size: bool = False,
        head_kernel: int = 1,
    ) -> None:
        super().__init__()
        widths = tuple((() if encoder else CLASSIC) if widths is None else widths)  # none: as the encoder's levels ask
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder, decoder, last = pyramid(encoder, in_channels, weights, widths, full_size=full_size)
        own = self.encoder.channels
        levels = len(own)

        def width(level: int, column: int) -> int:
            return decoder[level] if column and level + column == levels - 1 else own[level]  # the last node of a level decodes

        def node(level: int, column: int) -> Upsample:
            return Upsample(width(level + 1, column - 1), column * own[level], width(level, column))

        self.columns = nn.ModuleList(
            nn.ModuleList(node(level, column) for level in range(levels - column)) for column in range(1, levels)
        )
        self.enlarge = Upsample(decoder[0], 0, last) if last else None
        self.dropout = nn.Dropout2d(dropout)
        early = (levels - 2) * own[:1] if deep_supervision else ()
        self.classify = nn.ModuleList(
            nn.Conv2d(width, channels, head_kernel, padding=head_kernel // 2) for width in (*early, last or decoder[0])
        )
        self.stride = 1 if last else self.encoder.strides[0]
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "widths": list(widths) or None,
            "dropout": dropout,
            "deep_supervision": deep_supervision,
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
        rows = [
            [level] for level in self.encoder(self.normalise(images, valid, stats))
        ]  # of each level its nodes, the latest first
        for column in self.columns:
            deeper = [row[0] for row in rows[1:]]
            for level, block in enumerate(column.children()):
                rows[level].insert(0, block(deeper[level], *rows[level]))  # (B, its width, *s)
        features, *early = rows[0][:-1]
        if self.enlarge:
            features = self.enlarge(features, size=images.shape[2:])  # (B, widths[0], *S)
        *classify_early, classify = self.classify
        logits = classify(self.dropout(features))  # (B, channels, *s)
        if not self.training:
            return Dense(logits)
        pairs = zip(classify_early, reversed(early), strict=False)  # none without deep supervision
        return Dense(logits, aux=tuple(Dense(score(self.dropout(node))) for score, node in pairs))
