"""Mix Transformer, the encoder of SegFormer (Xie et al. 2021, arXiv 2105.15203, section 3.1 and table 6), which timm lacks.

Layer norms as in the authors' code: epsilon 1e-6 around the blocks, 1e-5 behind convolutions.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from intarsia.core.errors import CheckpointError, OptionError, nearest
from intarsia.core.pixels import Pixels
from intarsia.models.blocks.mix_block import MixBlock
from intarsia.models.encoders.weights import CHOICES, Loaded, load_tensors, read_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["PIXELS", "MiT", "encoder", "own_key"]

PIXELS = Pixels()
"""ImageNet's."""

SIZES = {
    "b0": ((32, 64, 160, 256), (2, 2, 2, 2)),
    "b1": ((64, 128, 320, 512), (2, 2, 2, 2)),
    "b2": ((64, 128, 320, 512), (3, 4, 6, 3)),
    "b3": ((64, 128, 320, 512), (3, 4, 18, 3)),
    "b4": ((64, 128, 320, 512), (3, 8, 27, 3)),
    "b5": ((64, 128, 320, 512), (3, 6, 40, 3)),
}
"""Widths and depths of the paper's; the rest is the same for all."""
RULES = (
    (r"^(segformer\.)?(encoder\.)?", ""),
    (r"^(patch_embeddings|layer_norm)\.(\d+)\.", r"stages.\2.\1."),
    (r"^block\.(\d+)\.", r"stages.\1.blocks."),
    (r"\.patch_embeddings\.proj\.", ".patch."),
    (r"\.patch_embeddings\.layer_norm\.", ".patch_norm."),
    (r"\.attention\.self\.", ".attention."),
    (r"\.attention\.q_proj\.", ".attention.query."),
    (r"\.attention\.k_proj\.", ".attention.key."),
    (r"\.attention\.v_proj\.", ".attention.value."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attention.project."),
    (r"\.attention\.(sequence_reduction\.)?layer_norm\.", ".attention.reduce_norm."),
    (r"\.attention\.(sr|sequence_reduction\.sequence_reduction)\.", ".attention.reduce."),
    (r"\.(layer_norm_1|layernorm_before)\.", ".attention_norm."),
    (r"\.(layer_norm_2|layernorm_after)\.", ".mlp_norm."),
    (r"\.mlp\.(dense1|fc1)\.", ".mlp.expand."),
    (r"\.mlp\.dwconv\.dwconv\.", ".mlp.mix."),
    (r"\.mlp\.(dense2|fc2)\.", ".mlp.contract."),
    (r"^(stages\.\d+)\.layer_norm\.", r"\1.norm."),
)
"""From the two spellings of transformers, that of its files and that of its release 5 in memory, to ours."""


def own_key(key: str) -> str:
    """Our name of one of transformers' SegFormer encoder tensors; one of ours stays as it is.

    >>> own_key("segformer.encoder.block.0.1.attention.self.sr.weight")
    'stages.0.blocks.1.attention.reduce.weight'
    """
    for pattern, ours in RULES:
        key = re.sub(pattern, ours, key)
    return key


class Stage(nn.Module):
    """Overlapping patches, `len(drop_paths)` blocks, a layer norm."""

    def __init__(
        self, in_channels: int, width: int, heads: int, reduction: int, hidden: int, stride: int, drop_paths: Sequence[float]
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2d(in_channels, width, 2 * stride - 1, stride, stride - 1)
        self.patch_norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(MixBlock(width, heads, reduction, hidden, drop_path) for drop_path in drop_paths))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, *s) -> (B, width, *s / stride), rounded up."""
        tokens = self.patch_norm(self.patch(features).permute(0, 2, 3, 1))  # (B, *s/stride, width)
        return self.norm(self.blocks(tokens)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class MiT(nn.Module):
    """Four levels, level i with `widths[i]` channels, `depths[i]` blocks of `heads[i]` heads, keys and values `reductions[i]` times
    coarser, and a hidden width of `expansions[i]` times its own. `drop_path` is the chance, rising from 0 with depth to this, that
    a block is passed over in training (arXiv 1603.09382).

    Raises OptionError where there are not four of each, or heads do not divide the width.

    >>> import torch
    >>> net = MiT(widths=(8, 16, 24, 32), depths=(1, 1, 1, 1), heads=(1, 2, 3, 4))
    >>> [tuple(level.shape) for level in net(torch.zeros(1, 3, 33, 50))]
    [(1, 8, 9, 13), (1, 16, 5, 7), (1, 24, 3, 4), (1, 32, 2, 2)]
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: Sequence[int] = SIZES["b0"][0],
        depths: Sequence[int] = SIZES["b0"][1],
        heads: Sequence[int] = (1, 2, 5, 8),
        reductions: Sequence[int] = (8, 4, 2, 1),
        expansions: Sequence[int] = (4, 4, 4, 4),
        *,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if any(len(each) != 4 for each in (widths, depths, heads, reductions, expansions)):
            raise OptionError("MiT", expected="four of each", received=(widths, depths, heads, reductions, expansions))
        if any(width % head for width, head in zip(widths, heads, strict=True)):
            raise OptionError("MiT heads", expected=f"divisors of the widths {tuple(widths)}", received=tuple(heads))
        self.channels = tuple(widths)
        self.strides = (4, 8, 16, 32)
        self.loaded: Loaded | None = None
        blocks = sum(depths)
        rates = iter(drop_path * block / max(1, blocks - 1) for block in range(blocks))
        self.stages = nn.ModuleList(
            Stage(
                in_channels if level == 0 else widths[level - 1],
                width,
                heads[level],
                reductions[level],
                expansions[level] * width,
                stride=4 if level == 0 else 2,
                drop_paths=[next(rates) for _ in range(depths[level])],
            )
            for level, width in enumerate(widths)
        )
        self.apply(_initialise)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first, rounded up."""
        features = []
        for stage in self.stages:
            pixels = stage(pixels)  # (B, widths[i], *s)
            features.append(pixels)
        return features


def encoder(name: str, in_channels: int = 3, weights: str = "none", output_stride: int | None = None) -> MiT:
    """The encoder `mit_b0` to `mit_b5`, or one spelled out: `mit_WIDTHS_DEPTHS`, then as needed `_HEADS_REDUCTIONS_EXPANSIONS`,
    each four numbers with dashes between. `weights` is "none" or the path of a local .safetensors or .pth file, under our keys or
    transformers'.

    Raises OptionError for another name or an `output_stride` but 32, its own, CheckpointError for weights that do not fit.

    >>> encoder("mit_8-16-24-32_1-1-2-1_1-2-3-4").channels
    (8, 16, 24, 32)
    """
    if output_stride not in (None, 32):
        raise OptionError(
            f"output_stride of encoder {name!r}",
            expected="32, its own, because no convolution of a transformer can be dilated",
            received=output_stride,
            hint="Pass output_stride=32, or name an encoder that can be dilated to 8 or 16: mobilenetv2_100, resnet50.",
        )
    four = "-".join(["[1-9][0-9]*"] * 4)
    if name.removeprefix("mit_") in SIZES:
        network = MiT(in_channels, *SIZES[name.removeprefix("mit_")])
    elif re.fullmatch(rf"mit(_{four}){{2,5}}", name):
        network = MiT(in_channels, *([int(number) for number in part.split("-")] for part in name.split("_")[1:]))
    else:
        raise OptionError(
            "encoder",
            expected="mit_b0 to mit_b5, or widths and depths such as mit_8-16-24-32_1-1-1-1_1-2-3-4",
            received=name,
            hint=nearest(name, [f"mit_{size}" for size in SIZES]),
        )
    if weights == "timm":
        raise CheckpointError(
            f"timm's weights of {name}",
            expected="the path of a .safetensors or .pth file",
            received="'timm', which has no such network",
        )
    if weights != "none":
        tensors = {own_key(key): tensor for key, tensor in read_state(Path(weights), CHOICES).items()}
        network.loaded = load_tensors(network, tensors, weights, in_channels)
    return network


def _initialise(module: nn.Module) -> None:
    """As the authors' code: truncated normal with deviation 0.02; convolutions by the outputs that an input reaches."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        reached = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / reached))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
