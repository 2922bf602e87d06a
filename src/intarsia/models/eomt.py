"""EoMT (Kerssies et al. 2025, arXiv 2503.19108): a plain Vision Transformer whose last blocks hold queries beside the patches, and
nothing else."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.errors import OptionError
from intarsia.core.output import Queries
from intarsia.models.blocks.annealed import Annealed
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.query_head import QueryHead
from intarsia.models.blocks.scale_block import ScaleBlock
from intarsia.models.encoders.make import input_pixels
from intarsia.models.encoders.plain_vit import PlainViT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["EoMT"]


class EoMT(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Queries`: class logits (B, Q, channels), the last for no object, and
    masks as coefficients of prototypes (B, K, *s), K the width of the encoder, s about S / 4.

    `encoder` is a plain ViT of timm, such as vit_small_patch14_reg4_dinov2; `vit` are further arguments of timm's (the paper's
    patch_size is 16, its img_size 640, that of the position embedding); `weights` is "none", "timm" or the path of a local
    .safetensors or .pth file. `queries` is Q; they join the patches in the last `blocks` blocks, in training each held to its mask
    as far as `Annealed` says. `scales` doublings make the prototypes of the patches; None takes as many as bring them to about
    S / 4. In training the answers before each of these blocks speak too, as `Queries.aux`. `pixels` defaults to the scaling that
    the encoder's weights expect.

    Raises OptionError for an encoder that is no plain ViT or has fewer blocks, CheckpointError for weights that do not fit.

    >>> net = EoMT.tiny(channels=6)
    >>> said = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> tuple(said.classes.shape), tuple(said.prototypes.shape)
    ((2, 12, 6), (2, 48, 10, 14))
    """

    tasks: ClassVar[tuple[str, ...]] = ("panoptic", "instance", "semantic")
    losses: ClassVar[dict[str, float]] = {"mask_set": 1.0}
    origin: ClassVar[str] = "Kerssies et al. 2025, arXiv 2503.19108"
    exports: ClassVar[tuple[str, ...]] = ("torch",)  # ONNX has no bicubic interpolation with antialias, for the positions

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "vit_small_patch14_reg4_dinov2",
        weights: str = "none",
        vit: Mapping[str, Any] | None = None,
        queries: int = 200,
        blocks: int = 4,
        scales: int | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = PlainViT(encoder, in_channels, weights, vit)
        width, depth = self.encoder.width, len(self.encoder.blocks)
        if not 0 < blocks <= depth:
            raise OptionError("blocks", expected=f"1 to {depth}, as {encoder} has", received=blocks)
        if scales is None:
            scales = max(1, round(log2(max(self.encoder.patch) / 4)))
        self.stride = max(1, max(self.encoder.patch) // 2**scales)
        self.blocks = blocks
        self.queries = nn.Embedding(queries, width)
        self.annealed = Annealed(blocks)
        self.scale = nn.Sequential(*(ScaleBlock(width) for _ in range(scales)))
        self.head = QueryHead(width, channels, width, nn.GELU)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "vit": dict(vit or {}),
            "queries": queries,
            "blocks": blocks,
            "scales": scales,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        vit = {"embed_dim": 48, "depth": 4, "num_heads": 3, "mlp_ratio": 2, "patch_size": 8, "img_size": 64}
        return cls(channels, in_channels, encoder="test_vit", vit=vit, queries=12, blocks=2)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Queries:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to Queries."""
        tokens, grid = self.encoder.tokens(self.normalise(images, valid, stats))
        joined = len(self.encoder.blocks) - self.blocks
        for block in self.encoder.blocks[:joined]:
            tokens = block(tokens)  # (B, tokens, width)
        tokens = torch.cat([self.queries.weight.expand(tokens.shape[0], -1, -1), tokens], dim=1)  # (B, Q + tokens, width)
        said = []
        for index, block in enumerate(self.encoder.blocks[joined:]):
            if self.training:  # else without masks, from the first evaluation on: what is measured is what will be used
                said.append(self._said(tokens, grid))
                tokens = block(tokens, attn_mask=self._unseen(said[-1], tokens, grid, index))
            else:
                tokens = block(tokens)
        last = self._said(tokens, grid)
        return Queries(last.classes, last.coefficients, last.prototypes, aux=tuple(said)) if self.training else last

    def _said(self, tokens: Tensor, grid: tuple[int, int]) -> Queries:
        """What the tokens say."""
        tokens = self.encoder.norm(tokens)
        queries = self.queries.num_embeddings
        classes, coefficients = self.head(tokens[:, :queries])
        patches = tokens[:, queries + self.encoder.prefix :].transpose(1, 2)  # (B, width, patches)
        return Queries(classes, coefficients, self.scale(patches.reshape(*patches.shape[:2], *grid)))

    def _unseen(self, said: Queries, tokens: Tensor, grid: tuple[int, int], block: int) -> Tensor:
        """(B, 1, Q + tokens, Q + tokens) 0, but -inf where a query may not look at a patch."""
        coarse = interpolate(said.prototypes.detach(), size=grid, mode="bilinear", align_corners=False).flatten(2)  # (B, K, cells)
        seen = self.annealed(said.coefficients.detach() @ coarse > 0, block)  # (B, Q, cells)
        unseen = tokens.new_zeros((len(tokens), 1, tokens.shape[1], tokens.shape[1]))
        unseen[:, 0, : seen.shape[1], -seen.shape[2] :].masked_fill_(~seen, -torch.inf)
        return unseen
