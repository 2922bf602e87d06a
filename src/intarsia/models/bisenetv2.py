"""BiSeNetV2 (Yu et al. 2020, arXiv 2004.02147): a wide shallow branch for details and a narrow deep one for meaning, joined.

Deviations from the paper: those of `GatherExpansion` and `GuidedAggregation`; logits at stride 8, their up-sampling belongs to loss
and decode; the booster heads weigh in the loss what `Dense.aux` does, not 1. With 19 classes, boosters left
out: 3.36 M parameters and, at 512x1024, 24.6 G multiply-adds, of which 9.8 are those of the `head` of 1024 that the implementations
in use have; the paper counts 21.15.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.output import Dense
from intarsia.models.blocks.guided_aggregation import GuidedAggregation
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.score_head import ScoreHead
from intarsia.models.encoders.bilateral import Bilateral
from intarsia.models.encoders.make import input_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["BiSeNetV2"]


class BiSeNetV2(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), s = S / 8.

    `detail` and `semantic` are the widths of the branches (`Bilateral`), `head` that of the last convolution before the scores,
    `booster` that of the heads which in training score four depths of the semantic branch, into `aux` (section 4.4); 0 leaves
    them out. `BiSeNetV2(**net.arguments)` builds the same network again, without the weights; `arguments` is plain enough for JSON.

    >>> import torch
    >>> net = BiSeNetV2.tiny(channels=5)
    >>> output = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(output.logits.shape), len(output.aux), len(net.eval()(torch.zeros(2, 3, 33, 50)).aux)
    ((2, 5, 5, 7), 4, 0)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Yu et al. 2020, arXiv 2004.02147"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        detail: Sequence[int] = (64, 64, 128),
        semantic: Sequence[int] = (16, 32, 64),
        head: int = 1024,
        booster: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = Bilateral(in_channels, detail, semantic)
        *boosted, width, _ = self.encoder.channels
        self.aggregate = GuidedAggregation(width)
        self.head = ScoreHead(width, channels, head, dropout=dropout)
        self.boosters = nn.ModuleList(ScoreHead(one, channels, booster, dropout=dropout) for one in boosted if booster)
        self.stride = 8
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "detail": list(detail),
            "semantic": list(semantic),
            "head": head,
            "booster": booster,
            "dropout": dropout,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, detail=(16, 16, 32), semantic=(8, 12, 16), head=64, booster=16)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / 8."""
        *levels, detail, semantic = self.encoder(self.normalise(images, valid, stats))
        logits = self.head(self.aggregate(detail, semantic))  # (B, channels, *s)
        if not self.training:
            return Dense(logits)
        return Dense(logits, aux=tuple(Dense(score(level)) for score, level in zip(self.boosters, levels, strict=False)))
