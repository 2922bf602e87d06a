"""UPerNet (Xiao et al. 2018, arXiv 1807.10221, section 3.1): a feature pyramid that begins with pyramid pooling, all levels fused.

Of the paper's heads this is the one for objects, as in every later use. `level_norm` is an addition of the transformers that are
used as its encoder (Swin, arXiv 2103.14030; ConvNeXt, 2201.03545): a layer norm over the channels of each of the encoder's levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.errors import OptionError
from intarsia.core.output import Dense
from intarsia.models.blocks.channel_norm import ChannelNorm
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.pyramid_pooling import PyramidPooling
from intarsia.models.blocks.score_head import ScoreHead
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["UPerNet"]

FINEST = 4
"""The stride of the finest level that the pyramid takes."""


class UPerNet(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), s = S / 4 on most encoders.

    `encoder` is any that gives levels of stride 4 and coarser, such as resnet50 (the paper's), convnext_tiny or
    swin_tiny_patch4_window7_224; `weights` is "none", "timm" or the path of a local .safetensors or .pth file. `width` is the
    pyramid's, 512 in the paper; `bins` are those of pyramid pooling. `auxiliary` is the width of a second head on the last level
    but one, which speaks in training only, as `Dense.aux`; 0 leaves it out. `level_norm` puts a layer norm behind each level.
    `dropout` goes before the last layers. `pixels` defaults to the scaling that the encoder's weights expect.

    Raises OptionError for an unknown encoder or one with fewer than two such levels, CheckpointError for weights that do not fit.

    >>> net = UPerNet.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 9, 13)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Xiao et al. 2018, arXiv 1807.10221"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        width: int = 256,
        bins: Sequence[int] = (1, 2, 3, 6),
        auxiliary: int = 0,
        level_norm: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights)
        self.finest = sum(stride < FINEST for stride in self.encoder.strides)
        levels = self.encoder.channels[self.finest :]
        if len(levels) < 2:
            raise OptionError(
                f"strides of encoder {encoder!r}",
                expected=f"two or more of {FINEST} or coarser",
                received=self.encoder.strides,
                hint="Name one that goes to stride 32: mobilenetv2_100, resnet50, convnext_tiny.",
            )
        self.stride = self.encoder.strides[self.finest]
        self.level_norms = nn.ModuleList(ChannelNorm(level) if level_norm else nn.Identity() for level in levels)
        self.pool = PyramidPooling(levels[-1], width, bins)
        self.bottleneck = ConvNormAct(self.pool.out_channels, width)
        self.laterals = nn.ModuleList(ConvNormAct(level, width, 1) for level in levels[:-1])
        self.smooth = nn.ModuleList(ConvNormAct(width, width) for _ in levels[:-1])
        self.fuse = ConvNormAct(len(levels) * width, width)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, channels, 1)
        self.auxiliary = ScoreHead(levels[-2], channels, auxiliary, dropout=dropout) if auxiliary else None
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "width": width,
            "bins": list(bins),
            "auxiliary": auxiliary,
            "level_norm": level_norm,
            "dropout": dropout,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="test_efficientnet", width=24, auxiliary=16)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, *s), s = S / stride."""
        levels = self.encoder(self.normalise(images, valid, stats))[self.finest :]
        levels = [norm(level) for norm, level in zip(self.level_norms, levels, strict=True)]
        deeper = self.bottleneck(self.pool(levels[-1]))  # (B, width, *s of the deepest)
        maps = [deeper]
        for lateral, smooth, level in zip(reversed(self.laterals), reversed(self.smooth), reversed(levels[:-1]), strict=True):
            deeper = lateral(level) + _enlarged(deeper, level)  # (B, width, *s of this level)
            maps.append(smooth(deeper))
        *coarser, finest = maps
        wide = torch.cat([finest, *(_enlarged(one, finest) for one in reversed(coarser))], dim=1)  # (B, levels width, *s)
        fused = self.fuse(wide)  # (B, width, *s)
        logits = self.classify(self.dropout(fused))  # (B, channels, *s)
        if self.training and self.auxiliary is not None:
            return Dense(logits, aux=(Dense(self.auxiliary(levels[-2])),))
        return Dense(logits)


def _enlarged(features: Tensor, to: Tensor) -> Tensor:
    """(B, C, *s) at the size of `to`."""
    return interpolate(features, size=to.shape[2:], mode="bilinear", align_corners=False)
