"""UPerNet of transformers (UperNetForSemanticSegmentation) in our words, its ConvNeXt or Swin in timm's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from intarsia.core.errors import CheckpointError
from intarsia.models.pretrained.settings import demand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

__all__ = ["arguments", "translated"]

CONVNEXT = {
    ((2, 2, 6, 2), (40, 80, 160, 320)): "convnext_atto",
    ((2, 2, 6, 2), (48, 96, 192, 384)): "convnext_femto",
    ((2, 2, 6, 2), (64, 128, 256, 512)): "convnext_pico",
    ((2, 2, 8, 2), (80, 160, 320, 640)): "convnext_nano",
    ((3, 3, 9, 3), (96, 192, 384, 768)): "convnext_tiny",
    ((3, 3, 27, 3), (96, 192, 384, 768)): "convnext_small",
    ((3, 3, 27, 3), (128, 256, 512, 1024)): "convnext_base",
    ((3, 3, 27, 3), (192, 384, 768, 1536)): "convnext_large",
    ((3, 3, 27, 3), (256, 512, 1024, 2048)): "convnext_xlarge",
}
"""timm's names by depths and widths."""
SWIN = {
    (96, (2, 2, 6, 2), (3, 6, 12, 24), 7): "swin_tiny_patch4_window7_224",
    (96, (2, 2, 18, 2), (3, 6, 12, 24), 7): "swin_small_patch4_window7_224",
    (128, (2, 2, 18, 2), (4, 8, 16, 32), 7): "swin_base_patch4_window7_224",
    (128, (2, 2, 18, 2), (4, 8, 16, 32), 12): "swin_base_patch4_window12_384",
    (192, (2, 2, 18, 2), (6, 12, 24, 48), 7): "swin_large_patch4_window7_224",
    (192, (2, 2, 18, 2), (6, 12, 24, 48), 12): "swin_large_patch4_window12_384",
}
"""timm's names by width, depths, heads and window."""

FIXED = {"auxiliary_num_convs": 1, "auxiliary_concat_input": False}
STAGES = ["stage1", "stage2", "stage3", "stage4"]
FIXED_CONVNEXT = {"patch_size": 4, "hidden_act": "gelu", "num_channels": 3, "out_features": STAGES}
FIXED_SWIN = {**FIXED_CONVNEXT, "mlp_ratio": 4, "qkv_bias": True, "use_absolute_embeddings": False}

KEYS = (
    (r"\.batch_norm\.", ".norm."),
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"pool.levels.\1."),
    (r"^decode_head\.lateral_convs\.", "laterals."),
    (r"^decode_head\.fpn_convs\.", "smooth."),
    (r"^decode_head\.fpn_bottleneck\.", "fuse."),
    (r"^decode_head\.bottleneck\.", "bottleneck."),
    (r"^decode_head\.classifier\.", "classify."),
    (r"^auxiliary_head\.convs\.0\.", "auxiliary.conv."),
    (r"^auxiliary_head\.classifier\.", "auxiliary.classify."),
    *((rf"^backbone\.hidden_states_norms\.stage{level + 1}\.", f"level_norms.{level}.") for level in range(4)),
    (r"^backbone\.(convnext\.|swin\.)?", "encoder.network."),
)
"""From their names to ours, in this order."""
BACKBONES = {
    "convnext": (
        (r"\.embeddings\.patch_embeddings\.", ".stem.0."),
        (r"\.embeddings\.layernorm\.", ".stem.1."),
        (r"\.encoder\.stages\.", ".stages."),
        (r"\.downsampling_layer\.", ".downsample."),
        (r"\.layers\.", ".blocks."),
        (r"\.layer_scale_parameter$", ".gamma"),
        (r"\.dwconv\.", ".conv_dw."),
        (r"\.layernorm\.", ".norm."),
        (r"\.pwconv([12])\.", r".mlp.fc\1."),
    ),
    "swin": (
        (r"\.embeddings\.patch_embeddings\.projection\.", ".patch_embed.proj."),
        (r"\.embeddings\.norm\.", ".patch_embed.norm."),
        (r"\.encoder\.layers\.", ".layers."),
        (r"\.attention\.output\.dense\.|\.attention\.o_proj\.", ".attn.proj."),
        (r"\.attention\.(self\.query|q_proj)\.", ".attn.0."),
        (r"\.attention\.(self\.key|k_proj)\.", ".attn.1."),
        (r"\.attention\.(self\.value|v_proj)\.", ".attn.2."),
        (r"\.attention\.(self|relative_position_bias)\.(relative_position)", r".attn.\2"),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"\.output\.dense\.", ".mlp.fc2."),
    ),
}
"""The same for the encoders, timm's modules with dots throughout; q, k and v stay three until they are joined."""
NEVER_READ = re.compile(r"\.relative_position_index$|^backbone\.(swin\.)?layernorm\.")
"""Swin's table of positions, which timm makes anew, and its norm behind the last level, for classification alone."""


def arguments(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Of our UPerNet. Raises CheckpointError for settings and backbones that it lacks."""
    demand(source, config, FIXED)
    return {
        "encoder": _encoder(config.get("backbone_config") or {}, source),
        "width": config.get("hidden_size", 512),
        "bins": list(config.get("pool_scales", (1, 2, 3, 6))),
        "auxiliary": config.get("auxiliary_channels", 256) if config.get("use_auxiliary_head", True) else 0,
        "level_norm": True,
    }


def translated(state: Mapping[str, Tensor], config: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Tensor]:
    """The same tensors under our names, timm's spelled as in `wanted`; under theirs where we have none."""
    spelled = {name.replace("_", "."): name for name in wanted}
    keys = (*KEYS, *BACKBONES[config["backbone_config"]["model_type"]])
    given = {_ours(key, keys): tensor for key, tensor in state.items() if not NEVER_READ.search(key)}
    for query in [name for name in given if ".attn.0." in name]:
        parts = [query.replace(".attn.0.", f".attn.{part}.") for part in range(3)]
        if all(part in given for part in parts):
            given[query.replace(".attn.0.", ".attn.qkv.")] = torch.cat([given.pop(part) for part in parts])
    return {spelled.get(name.replace("_", "."), name): tensor for name, tensor in given.items()}


def _encoder(backbone: Mapping[str, Any], source: str) -> str:
    """timm's name of the backbone."""
    kind = backbone.get("model_type")
    table: Mapping[Any, str] = CONVNEXT if kind == "convnext" else SWIN
    if kind == "convnext":
        demand(source, backbone, FIXED_CONVNEXT)
        size: Any = tuple(
            tuple(backbone.get(name, default))
            for name, default in (("depths", (3, 3, 9, 3)), ("hidden_sizes", (96, 192, 384, 768)))
        )
    elif kind == "swin":
        demand(source, backbone, FIXED_SWIN)
        depths, heads = (
            tuple(backbone.get(key, default)) for key, default in (("depths", (2, 2, 6, 2)), ("num_heads", (3, 6, 12, 24)))
        )
        size = (backbone.get("embed_dim", 96), depths, heads, backbone.get("window_size", 7))
    else:
        raise CheckpointError(
            source,
            expected="a backbone of convnext or swin",
            received=kind or "none in its config",
            hint="To train one like it, name the model upernet and one of timm's encoders.",
        )
    if size not in table:
        raise CheckpointError(
            f"{source}, its {kind}",
            expected="one that timm has",
            received=size,
            hint=f"Known: {', '.join(f'{name} {known}' for known, name in table.items())}.",
        )
    return table[size]


def _ours(key: str, keys: Iterable[tuple[str, str]]) -> str:
    for pattern, ours in keys:
        key = re.sub(pattern, ours, key)
    # a stage of theirs ends with the step to the next, one of timm's begins with it
    return re.sub(r"\.layers\.(\d)\.downsample\.", lambda found: f".layers.{int(found[1]) + 1}.downsample.", key)
