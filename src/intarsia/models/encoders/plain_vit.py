"""Any plain Vision Transformer of timm (Dosovitskiy et al. 2020, arXiv 2010.11929) as patches, blocks and a norm, with weights from
timm or from a local file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.errors import CheckpointError, OptionError, nearest
from intarsia.models.encoders.weights import Loaded, load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["PlainViT"]

KNOWN = ("vit_small_patch14_reg4_dinov2", "vit_base_patch14_reg4_dinov2", "vit_base_patch16_224")


class PlainViT(nn.Module):
    """timm's ViT called `name`: `tokens` of an image, to go through `blocks` and `norm`, all of one `width`.

    Of the tokens the first `prefix` belong to no patch (class, registers), then come the patches, `patch` pixels high and wide.
    `more` are arguments of timm's, such as patch_size or img_size, to which its weights are adapted. `weights` is "none", "timm" or
    the path of a local .safetensors or .pth file.

    Raises OptionError for a name that is none of timm's plain ViTs, CheckpointError for weights that cannot be had or do not fit.

    >>> vit = PlainViT("test_vit")
    >>> vit.width, vit.patch, vit.prefix
    (64, (16, 16), 1)
    """

    def __init__(self, name: str, in_channels: int = 3, weights: str = "none", more: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.network = _created(name, in_channels, pretrained=weights == "timm", more=dict(more or {}))
        self.width: int = self.network.embed_dim
        self.patch: tuple[int, int] = tuple(self.network.patch_embed.patch_size)
        self.prefix: int = self.network.num_prefix_tokens
        self.loaded: Loaded | None = None
        if weights == "timm":
            self.loaded = Loaded("timm", len(self.network.state_dict()))
        elif weights != "none":
            self.loaded = load_weights(self.network, weights, in_channels)

    @property
    def blocks(self) -> nn.Sequential:
        """Each (B, tokens, width) -> the same; `attn_mask` is added to the scores of attention."""
        return self.network.blocks  # type: ignore[no-any-return]

    def norm(self, tokens: Tensor) -> Tensor:
        """(B, tokens, width) -> the same, the norm behind the last block."""
        return self.network.norm(tokens)  # type: ignore[no-any-return]

    def tokens(self, pixels: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(B, in_channels, *S) -> (B, tokens, width) before the first block, and how many rows and columns of patches there are.

        The image is enlarged to whole patches, so that they cover it exactly; with padding they would reach beyond it.
        """
        rows, columns = (-(-length // side) for length, side in zip(pixels.shape[2:], self.patch, strict=True))
        size = [rows * self.patch[0], columns * self.patch[1]]
        pixels = interpolate(pixels, size=size, mode="bilinear")  # (B, in_channels, *S) to the next multiple; of that size, itself
        patches = self.network.patch_embed(pixels)  # (B, *s, width)
        return self.network.norm_pre(self.network.patch_drop(self.network._pos_embed(patches))), (rows, columns)


def _created(name: str, in_channels: int, *, pretrained: bool, more: dict[str, Any]) -> Any:
    """timm's network without its classifier, for images of any size."""
    if not timm.is_model(name.partition(".")[0]):
        raise OptionError(f"encoder {name!r}", expected="a plain ViT of timm", hint=nearest(name, timm.list_models("*vit*")))
    options = {"num_classes": 0, "global_pool": "", "dynamic_img_size": True, **more}
    try:
        network = timm.create_model(name, pretrained=pretrained, in_chans=in_channels, **options)
    except (TypeError, AssertionError):  # not for this one
        network = None
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"timm's weights of {name}",
            expected="a download, or a copy in the Hugging Face cache",
            received=error,
            hint="Pass weights='none', or the path of a local .safetensors or .pth file.",
        ) from error
    if not isinstance(network, VisionTransformer):
        raise OptionError(
            f"encoder {name!r}",
            expected="a plain ViT of timm that takes these arguments",
            received=more or None,
            hint=f"Such as {', '.join(KNOWN)}.",
        )
    return network
