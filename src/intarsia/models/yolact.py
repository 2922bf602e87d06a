"""YOLACT (Bolya, Zhou, Xiao, Lee 2019, arXiv 1904.02689): objects in real time. Every anchor says a class, a box, and how much of
each of a few prototypes, drawn once for the whole image, its mask is made of.

Deviations from the authors' code: images come at any size and are not resized within, so anchors are shares of it; there is no
semantic branch beside the pyramid in training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn

from intarsia.core.errors import OptionError
from intarsia.core.output import Queries
from intarsia.models.blocks.anchor_head import AnchorHead
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.feature_pyramid import FeaturePyramid
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.prototype_net import PrototypeNet
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["Yolact"]

MOVE, GROW = 0.1, 0.2
"""What 1 of a box's four numbers is: a tenth of its anchor's size aside, a fifth of the logarithm of it larger (SSD's variances).
"""
MOST = 4.0
"""The logarithm of how much larger than its anchor a box may be."""


class Yolact(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Queries`, one for each anchor of each cell of each level.

    `channels` are the classes and, last, no object. `encoder` is any timm network; `weights` is "none", "timm" or the path of a
    local .safetensors or .pth file. The pyramid has `levels` levels of `width` channels from stride `finest` on (8 in the paper, 4
    for objects of a few pixels), those that the encoder lacks made by strided convolutions; the `prototypes` maps are twice as fine
    as its first. An anchor has `scale` times the stride of its level as its side, stretched to each of `ratios` of width to height
    at the same area. Boxes and anchors are (x0, y0, x1, y1) in shares of the image. Raises OptionError for an encoder that timm
    lacks or whose levels are all finer.

    >>> output = Yolact.tiny(channels=5)(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(output.classes.shape), tuple(output.coefficients.shape), tuple(output.prototypes.shape)
    ((2, 48, 5), (2, 48, 8), (2, 8, 6, 8))
    """

    tasks: ClassVar[tuple[str, ...]] = ("instance",)
    losses: ClassVar[dict[str, float]] = {"prototype_masks": 1.0}
    origin: ClassVar[str] = "Bolya et al. 2019, arXiv 1904.02689"
    exports: ClassVar[tuple[str, ...]] = ("torch", "openvino")

    shapes: Tensor

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        width: int = 128,
        prototypes: int = 32,
        finest: int = 8,
        levels: int = 5,
        scale: float = 3.0,
        ratios: Sequence[float] = (1.0, 0.5, 2.0),
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights)
        last = {stride: level for level, stride in enumerate(self.encoder.strides) if stride >= finest}  # of each stride
        strides, self.levels = list(last)[:levels], list(last.values())[:levels]
        widths = [self.encoder.channels[level] for level in self.levels]
        if not widths:
            expected = f"one or more of {finest} or coarser"
            raise OptionError(f"strides of encoder {encoder!r}", expected=expected, received=self.encoder.strides)
        self.pyramid = FeaturePyramid(widths, width)
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=None) for _ in widths)
        self.coarser = nn.ModuleList(ConvNormAct(width, width, stride=2, norm=None) for _ in range(levels - len(widths)))
        while len(strides) < levels:
            strides.append(2 * strides[-1])
        self.sides = [scale * stride for stride in strides]
        self.prototypes = PrototypeNet(width, prototypes)
        self.head = AnchorHead(width, len(ratios), channels, prototypes)
        stretched = [(ratio**0.5, ratio**-0.5) for ratio in ratios]
        self.register_buffer("shapes", torch.tensor(stretched), persistent=False)  # (anchors of a cell, 2): width, height
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "width": width,
            "prototypes": prototypes,
            "finest": finest,
            "levels": levels,
            "scale": scale,
            "ratios": list(ratios),
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", width=24, prototypes=8, finest=16, levels=2, scale=1.5)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Queries:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to Queries, the finest level's first."""
        features = self.encoder(self.normalise(images, valid, stats))
        pyramid = self.pyramid([features[level] for level in self.levels])
        levels = [
            smooth(level) for smooth, level in zip(self.smooth, pyramid[:-1], strict=True)
        ]  # without torchvision's further one
        for coarser in self.coarser:
            levels.append(coarser(levels[-1]))
        priors = torch.cat(
            [self._anchors(level, side, images) for level, side in zip(levels, self.sides, strict=True)]
        )  # (Q, 4): middle, size
        parts = zip(*(self.head(level) for level in levels), strict=True)
        classes, moves, coefficients = (torch.cat(part, dim=1) for part in parts)  # (B, Q, channels), (B, Q, 4), (B, Q, K)
        moves = moves.float()
        middles = priors[:, :2] + MOVE * moves[..., :2] * priors[:, 2:]  # (B, Q, 2)
        extents = priors[:, 2:] * (GROW * moves[..., 2:]).clamp(-MOST, MOST).exp()
        return Queries(
            classes,
            coefficients,
            self.prototypes(levels[0]),
            boxes=_edges(middles, extents),
            priors=_edges(priors[:, :2], priors[:, 2:]),
        )

    def _anchors(self, level: Tensor, side: float, images: Tensor) -> Tensor:
        """(Q of a level, 4) middle and size, x first, in shares of the image."""
        rows, columns = level.shape[2:]
        y, x = ((torch.arange(cells, device=level.device) + 0.5) / cells for cells in (rows, columns))
        extents = torch.stack([self.shapes[:, 0] * (side / images.shape[3]), self.shapes[:, 1] * (side / images.shape[2])], dim=1)
        anchors = len(self.shapes)
        middles = torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], dim=-1)  # (*s, 2)
        every = torch.cat(
            [middles[:, :, None].expand(rows, columns, anchors, 2), extents.expand(rows, columns, anchors, 2)], dim=-1
        )
        return every.reshape(-1, 4)  # (*s, anchors, 4) -> (Q, 4)


def _edges(middles: Tensor, extents: Tensor) -> Tensor:
    """(..., 2) middle and size to (..., 4) edges."""
    return torch.cat([middles - extents / 2, middles + extents / 2], dim=-1)
