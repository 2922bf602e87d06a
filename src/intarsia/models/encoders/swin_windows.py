"""Swin (Liu et al. 2021, arXiv 2103.14030, and its second version, 2111.09883) on maps that are no multiple of its windows.

The authors' code fills a map up to whole windows and then shifts it; timm shifts first, so that its attention mask, made for the
other order, lets cells of opposite borders see each other and hides neighbours. The two agree where nothing is filled up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        height, width = tokens.shape[1:3]
        down, right = -height % self.window_size[0], -width % self.window_size[1]
        attend: Any = super()
        return attend._attn(pad(tokens, (0, 0, 0, right, 0, down)))[:, :height, :width]  # type: ignore[no-any-return]


class _Block(_Filled, SwinTransformerBlock):
    pass


class _BlockV2(_Filled, SwinTransformerV2Block):
    pass


def fill_before_shift(network: nn.Module) -> None:
    """Gives every Swin block of a timm network the authors' order; its weights and their names stay."""
    ours: dict[type, type] = {SwinTransformerBlock: _Block, SwinTransformerV2Block: _BlockV2}
    for module in network.modules():
        module.__class__ = ours.get(type(module), type(module))
