"""The two branches of BiSeNetV2 (Yu et al. 2020, arXiv 2004.02147, table 1): wide and shallow for details, else narrow and deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from intarsia.models.blocks.context_embedding import ContextEmbedding
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.gather_expansion import GatherExpansion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Bilateral"]


class Stem(nn.Module):
    """A convolution, then another beside max pooling, both joined by a third: stride 4 (figure 4)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(in_channels, channels, stride=2)
        self.beside = nn.Sequential(ConvNormAct(channels, channels // 2, 1), ConvNormAct(channels // 2, channels, stride=2))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.join = ConvNormAct(2 * channels, channels)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, in_channels, *S) -> (B, channels, *S / 4)."""
        first = self.first(pixels)  # (B, channels, *S / 2)
        return self.join(torch.cat([self.beside(first), self.pool(first)], dim=1))  # type: ignore[no-any-return]


class Bilateral(nn.Module):
    """Features of the semantic branch at strides 4, 8, 16 and 32, then what is aggregated: details at 8, semantics at 32.

    `detail` are the widths of the detail branch's three stages, `semantic` those of the stem and of two stages; the last stage of
    both has the same.

    >>> import torch
    >>> [tuple(level.shape) for level in Bilateral(3, (4, 4, 8), (4, 4, 8))(torch.zeros(1, 3, 33, 64))]
    [(1, 4, 9, 16), (1, 4, 5, 8), (1, 8, 3, 4), (1, 8, 2, 2), (1, 8, 5, 8), (1, 8, 2, 2)]
    """

    def __init__(self, in_channels: int, detail: Sequence[int], semantic: Sequence[int]) -> None:
        super().__init__()
        first, second, third = detail
        self.detail = nn.Sequential(
            *(ConvNormAct(in_channels, first, stride=2), ConvNormAct(first, first)),
            *(ConvNormAct(first, second, stride=2), ConvNormAct(second, second), ConvNormAct(second, second)),
            *(ConvNormAct(second, third, stride=2), ConvNormAct(third, third), ConvNormAct(third, third)),
        )
        stem, middle, late = semantic
        self.semantic = nn.ModuleList(
            [
                Stem(in_channels, stem),
                nn.Sequential(GatherExpansion(stem, middle, stride=2), GatherExpansion(middle, middle)),
                nn.Sequential(GatherExpansion(middle, late, stride=2), GatherExpansion(late, late)),
                nn.Sequential(GatherExpansion(late, third, stride=2), *(GatherExpansion(third, third) for _ in range(3))),
            ]
        )
        self.context = ContextEmbedding(third)
        self.channels = (stem, middle, late, third, third, third)
        self.strides = (4, 8, 16, 32, 8, 32)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each of the six."""
        features, levels = pixels, []
        for stage in self.semantic:
            features = stage(features)  # (B, channels[i], *s)
            levels.append(features)
        return [*levels, self.detail(pixels), self.context(features)]
