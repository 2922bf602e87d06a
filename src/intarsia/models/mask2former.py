"""Mask2Former (Cheng et al. 2021, arXiv 2112.01527): learnt queries look at an image, each within its own mask, level by level.

The pixel decoder is the paper's, of deformable attention, or the lighter one of MaskFormer (arXiv 2107.06278). One deviation, which
changes no number but the last digits: the masks that attention is held to are made of prototypes brought to the size of the level,
in place of masks brought to that size, so that in inference no stack of masks is ever formed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.errors import OptionError, nearest
from intarsia.core.output import Queries
from intarsia.models.blocks.channel_norm import ChannelNorm
from intarsia.models.blocks.deformable_pixel_decoder import DeformablePixelDecoder
from intarsia.models.blocks.fpn_pixel_decoder import FPNPixelDecoder
from intarsia.models.blocks.masked_attention import MaskedAttention
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.query_head import QueryHead
from intarsia.models.blocks.sine_position import sine_position
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["Mask2Former"]

SEEN = 3
"""Levels that the queries look at, the deepest of the encoder."""
PIXEL_DECODERS = ("fpn", "deformable")


class Mask2Former(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Queries`: class logits (B, Q, channels), the last for no object, and
    masks as coefficients of prototypes (B, K, *s), s = S / `finest`.

    `encoder` is any that gives levels of stride `finest` and coarser; `weights` is "none", "timm" or the path of a local
    .safetensors or .pth file. `pixel_decoder` is "fpn", or "deformable", the paper's, of `pixel_layers` layers whose own width is
    `pixel_hidden`. `width` is that of all behind the encoder, K too, 256 in the paper; `queries` is Q; `layers` those of the
    decoder, which go through the levels in turn, from the coarsest on, of `heads` heads and the width `hidden` within. `level_norm`
    puts a layer norm behind each level of the encoder, as transformers such as Swin want it. In training the answers before the
    first layer and behind each but the last speak too, as `Queries.aux`. `pixels` defaults to the scaling that the encoder's
    weights expect.

    Raises OptionError for an unknown encoder, one with no such level, or a width that heads do not divide; CheckpointError for
    weights that do not fit.

    >>> import torch
    >>> net = Mask2Former.tiny(channels=6)
    >>> said = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(said.classes.shape), tuple(said.prototypes.shape)
    ((2, 12, 6), (2, 32, 9, 13))
    """

    tasks: ClassVar[tuple[str, ...]] = ("panoptic", "instance", "semantic")
    losses: ClassVar[dict[str, float]] = {"mask_set": 1.0}
    origin: ClassVar[str] = "Cheng et al. 2021, arXiv 2112.01527"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        pixel_decoder: str = "fpn",
        pixel_layers: int = 6,
        pixel_hidden: int = 1024,
        width: int = 256,
        queries: int = 100,
        layers: int = 9,
        heads: int = 8,
        hidden: int = 2048,
        finest: int = 4,
        level_norm: bool = False,
    ) -> None:
        super().__init__()
        if pixel_decoder not in PIXEL_DECODERS:
            hint = nearest(pixel_decoder, PIXEL_DECODERS)
            raise OptionError("pixel_decoder", expected=" or ".join(PIXEL_DECODERS), received=pixel_decoder, hint=hint)
        if width % heads or width % 4:
            raise OptionError("width", expected=f"a multiple of 4 and of {heads} heads", received=width)
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights)
        taken = [level for level, stride in enumerate(self.encoder.strides) if stride >= finest]
        if not taken:
            raise OptionError(
                f"strides of encoder {encoder!r}",
                expected=f"one of {finest} or coarser",
                received=self.encoder.strides,
                hint="Name one that goes to stride 32: mobilenetv2_100, resnet50, swin_tiny_patch4_window7_224.",
            )
        self.first = taken[0]
        self.stride = self.encoder.strides[self.first]
        levels = self.encoder.channels[self.first :]
        self.level_norms = nn.ModuleList(ChannelNorm(level) if level_norm else nn.Identity() for level in levels)
        seen = min(SEEN, len(taken))
        kind: Any = FPNPixelDecoder
        if pixel_decoder == "deformable":
            kind = partial(DeformablePixelDecoder, layers=pixel_layers, heads=heads, hidden=pixel_hidden)
        self.pixel_decoder = kind(levels, width, width, seen)
        self.levels = nn.Embedding(seen, width)
        self.queries = nn.Embedding(queries, width)
        self.places = nn.Embedding(queries, width)
        self.layers = nn.ModuleList(MaskedAttention(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = QueryHead(width, channels, width)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "pixel_decoder": pixel_decoder,
            "pixel_layers": pixel_layers,
            "pixel_hidden": pixel_hidden,
            "width": width,
            "queries": queries,
            "layers": layers,
            "heads": heads,
            "hidden": hidden,
            "finest": finest,
            "level_norm": level_norm,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="test_efficientnet", width=32, queries=12, layers=3, heads=4, hidden=64)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Queries:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to Queries."""
        levels = self.encoder(self.normalise(images, valid, stats))[self.first :]
        levels = [norm(level) for norm, level in zip(self.level_norms, levels, strict=True)]
        maps, prototypes = self.pixel_decoder(levels)  # `seen` of (B, width, *s of the level), (B, K, *s)
        said = [Queries(*each, prototypes) for each in self._answers(maps, prototypes)]
        if not self.training:
            return said[-1]
        return Queries(said[-1].classes, said[-1].coefficients, prototypes, aux=tuple(said[:-1]))

    def _answers(self, maps: Sequence[Tensor], prototypes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(B, Q, channels) and (B, Q, K) before the first layer and behind each."""
        cells = [
            (one + level[:, None, None]).flatten(2).transpose(1, 2)  # (B, width, *s) -> (B, cells, width)
            for one, level in zip(maps, self.levels.weight, strict=True)
        ]
        keys = [
            each + sine_position(one, one.shape[1]).flatten(0, 1)  # (B, cells, width)
            for each, one in zip(cells, maps, strict=True)
        ]
        coarse = [_resized(prototypes.detach(), one) for one in maps]  # (B, K, cells)
        batch = prototypes.shape[0]  # by len() an exporter that traces would take it for a constant
        queries = self.queries.weight.expand(batch, -1, -1)  # (B, Q, width)
        places = self.places.weight.expand(batch, -1, -1)  # (B, Q, width)
        answers = [self.head(self.norm(queries))]
        for index, layer in enumerate(self.layers):
            level = index % len(maps)
            seen = answers[-1][1].detach() @ coarse[level] >= 0  # (B, Q, cells)
            queries = layer(queries, places, cells[level], keys[level], seen)
            answers.append(self.head(self.norm(queries)))
        return answers


def _resized(prototypes: Tensor, to: Tensor) -> Tensor:
    """(B, K, *s) at the size of `to` -> (B, K, cells)."""
    return interpolate(prototypes, size=to.shape[2:], mode="bilinear", align_corners=False).flatten(2)
