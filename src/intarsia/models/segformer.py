"""SegFormer (Xie et al. 2021, arXiv 2105.15203): a hierarchical transformer, and a head that is nothing but linear layers.

One deviation, which changes no number but the last digits: the head's linear layers commute with interpolation, and nothing bends
between that of a level and the fusion of all. So their weights are multiplied first, each level is mixed at its own size, and only
the sums are enlarged: for B0 at 512x512 that is 0.3 in place of 4.6 billion multiply-adds, and no map of four times the width. An
option that the paper lacks, `finest`, lets the head begin at another stride than 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn
from torch.nn.functional import conv2d, interpolate

from intarsia.core.errors import OptionError
from intarsia.core.output import Dense
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.scarce_norm import ScarceNorm
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["SegFormer"]


class AllMLP(nn.Module):
    """The head (equation 4), before its last layer: a linear layer for each level, all enlarged to the finest, fused by another.

    >>> import torch
    >>> levels = [torch.zeros(1, 4, 6, 8), torch.zeros(1, 8, 3, 4)]
    >>> tuple(AllMLP((4, 8), 16)(levels).shape)
    (1, 16, 6, 8)
    """

    def __init__(self, in_channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(channels, width) for channels in in_channels)
        self.fuse = nn.Linear(width * len(in_channels), width, bias=False)  # deepest level first, as in the authors' code
        self.norm = ScarceNorm(width)
        self.act = nn.ReLU(inplace=True)
        nn.init.kaiming_normal_(self.fuse.weight, nonlinearity="relu")

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """One (B, in_channels[i], *s) for each level, finest first -> (B, width, *s) at the size of the finest."""
        layer: Any  # linear
        parts = reversed(self.fuse.weight.chunk(len(levels), dim=1))  # (width, width) for each level, finest first
        mixed = []
        for features, layer, part in zip(levels, self.project, parts, strict=True):
            weight = (part @ layer.weight)[..., None, None]  # (width, in_channels[i], 1, 1)
            mixed.append(conv2d(features, weight, part @ layer.bias))  # (B, width, *s)
        fused, *coarser = mixed
        for sums in coarser:
            fused = fused + interpolate(sums, size=levels[0].shape[2:], mode="bilinear", align_corners=False)  # (B, width, *s)
        return self.act(self.norm(fused))  # type: ignore[no-any-return]


class SegFormer(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), s = S / 4 on the default encoder.

    `encoder` is mit_b0 to mit_b5, or any other that gives levels of stride 4 and coarser, timm's among them; `weights` is "none",
    "timm" or the path of a local .safetensors or .pth file. `width` is the head's: 256 in the paper's B0 and B1, 768 in B2 to B5.
    The head takes the levels of stride `finest` and coarser: 2 keeps thin things that 4, the paper's, loses. `dropout` goes before
    the last layer. `pixels` defaults to the scaling that the encoder's weights expect.

    Raises OptionError for an unknown encoder or one with no such level, CheckpointError for weights that do not fit.

    >>> import torch
    >>> net = SegFormer.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 9, 13)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Xie et al. 2021, arXiv 2105.15203"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mit_b0",
        weights: str = "none",
        width: int = 256,
        finest: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights)
        taken = [level for level, stride in enumerate(self.encoder.strides) if stride >= finest]
        if not taken:
            raise OptionError(
                f"strides of encoder {encoder!r}",
                expected=f"one of {finest} or coarser",
                received=self.encoder.strides,
                hint="Name one that goes to stride 32: mit_b0, mobilenetv2_100, resnet50.",
            )
        self.first = taken[0]
        self.stride = self.encoder.strides[self.first]
        self.head = AllMLP(self.encoder.channels[self.first :], width)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, channels, 1)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "width": width,
            "finest": finest,
            "dropout": dropout,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="mit_16-24-32-48_1-1-1-1_1-2-2-4_4-2-1-1", width=32)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / stride."""
        levels = self.encoder(self.normalise(images, valid, stats))[self.first :]
        return Dense(self.classify(self.dropout(self.head(levels))))  # (B, channels, *s)
