"""Attention in windows on maps that are no multiple of them, for Swin (Liu et al. 2021, arXiv 2103.14030, and its second version,
2111.09883) and MaxViT (Tu et al. 2022, arXiv 2204.01697).

Swin: the authors' code fills a map up to whole windows and then shifts it; timm shifts first, so that its attention mask, made for
the other order, lets cells of opposite borders see each other and hides neighbours. The two agree where nothing is filled up.

MaxViT: the authors' code and timm refuse such maps; here they are filled up as Swin's, for windows and grids alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timm.models.maxxvit import ParallelPartitionAttention, PartitionAttention2d, PartitionAttentionCl
from timm.models.swin_transformer import SwinTransformerBlock
from timm.models.swin_transformer_v2 import SwinTransformerV2Block
from torch.nn.functional import pad

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["fill_before_shift"]


class _Filled:
    """Comes before one of timm's blocks: its map is whole windows already, so it fills up nothing itself."""

    window_size: tuple[int, int]

    def _attn(self, tokens: Tensor) -> Tensor:
        """(B, *s, C) -> (B, *s, C)."""
        attend: Any = super()
        return _filled(attend._attn, tokens, self.window_size)


class _FilledPartition:
    """The same for MaxViT's."""

    partition_size: tuple[int, int]

    def _partition_attn(self, tokens: Tensor) -> Tensor:
        """(B, *s, C) -> (B, *s, C)."""
        attend: Any = super()
        return _filled(attend._partition_attn, tokens, self.partition_size)


class _FilledPartition2d:
    """The same where channels come first."""

    partition_size: tuple[int, int]

    def _partition_attn(self, features: Tensor) -> Tensor:
        """(B, C, *s) -> (B, C, *s)."""
        attend: Any = super()
        height, width = features.shape[2:]
        down, right = -height % self.partition_size[0], -width % self.partition_size[1]
        return attend._partition_attn(pad(features, (0, right, 0, down)))[..., :height, :width]  # type: ignore[no-any-return]


def _filled(attend: Any, tokens: Tensor, window: tuple[int, int]) -> Tensor:
    """`attend` on (B, *s, C) with zeros to the right and below up to whole windows, without them again."""
    height, width = tokens.shape[1:3]
    down, right = -height % window[0], -width % window[1]
    return attend(pad(tokens, (0, 0, 0, right, 0, down)))[:, :height, :width]  # type: ignore[no-any-return]


class _Block(_Filled, SwinTransformerBlock):
    pass


class _BlockV2(_Filled, SwinTransformerV2Block):
    pass


class _Partition(_FilledPartition, PartitionAttentionCl):
    pass


class _Partition2d(_FilledPartition2d, PartitionAttention2d):
    pass


class _ParallelPartition(_FilledPartition, ParallelPartitionAttention):
    pass


OURS: dict[type, type] = {
    SwinTransformerBlock: _Block,
    SwinTransformerV2Block: _BlockV2,
    PartitionAttentionCl: _Partition,
    PartitionAttention2d: _Partition2d,
    ParallelPartitionAttention: _ParallelPartition,
}


def fill_before_shift(network: nn.Module) -> None:
    """Gives every windowed block of a timm network the order above; its weights and their names stay."""
    for module in network.modules():
        module.__class__ = OURS.get(type(module), type(module))
