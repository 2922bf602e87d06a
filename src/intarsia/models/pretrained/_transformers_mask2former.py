"""Mask2Former of transformers (Mask2FormerForUniversalSegmentation) in our words, its Swin or ResNet in timm's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import CheckpointError
from intarsia.models.pretrained import _transformers_upernet as upernet
from intarsia.models.pretrained.settings import demand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

__all__ = ["arguments", "translated"]

WIDTH = 256
FIXED = {
    "feature_size": WIDTH,
    "mask_feature_size": WIDTH,
    "hidden_dim": WIDTH,
    "activation_function": "relu",
    "pre_norm": False,
    "enforce_input_projection": False,
    "common_stride": 4,
    "feature_strides": [4, 8, 16, 32],
}
FIXED_RESNET = {
    "num_channels": 3,
    "hidden_act": "relu",
    "downsample_in_first_stage": False,
    "downsample_in_bottleneck": False,
    "embedding_size": 64,
    "out_features": upernet.STAGES,
}
RESNET = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}
"""timm's names by block and depths."""

BACKBONE = "model.pixel_level_module.encoder."
NEVER_READ = ("criterion.", f"{BACKBONE}swin.layernorm.")
KEYS = (
    (r"^model\.pixel_level_module\.decoder\.", "pixel_decoder."),
    (r"^model\.transformer_module\.(decoder\.)?", ""),
    (r"^pixel_decoder\.input_projections\.", "pixel_decoder.project."),
    (r"^pixel_decoder\.level_embed$", "pixel_decoder.levels.weight"),
    (r"^pixel_decoder\.adapter_1\.0\.", "pixel_decoder.laterals.0.conv."),
    (r"^pixel_decoder\.adapter_1\.1\.", "pixel_decoder.laterals.0.norm."),
    (r"^pixel_decoder\.layer_1\.0\.", "pixel_decoder.smooth.0.conv."),
    (r"^pixel_decoder\.layer_1\.1\.", "pixel_decoder.smooth.0.norm."),
    (r"^pixel_decoder\.mask_projection\.", "pixel_decoder.prototypes."),
    (r"^pixel_decoder\.encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"pixel_decoder.layers.\1.attention_norm."),
    (r"^pixel_decoder\.encoder\.layers\.(\d+)\.self_attn\.", r"pixel_decoder.layers.\1.attention."),
    (r"^pixel_decoder\.encoder\.", "pixel_decoder."),
    (r"\.attention\.sampling_offsets\.", ".attention.offsets."),
    (r"\.attention\.attention_weights\.", ".attention.weights."),
    (r"\.attention\.value_proj\.", ".attention.value."),
    (r"\.attention\.output_proj\.", ".attention.project."),
    (r"^level_embed\.", "levels."),
    (r"^queries_embedder\.", "places."),
    (r"^queries_features\.", "queries."),
    (r"^layernorm\.", "norm."),
    (r"^mask_predictor\.mask_embedder\.(\d)\.0\.", lambda found: f"head.coefficients.{2 * int(found[1])}."),
    (r"^class_predictor\.", "head.classify."),
    (r"\.(self|cross)_attn_layer_norm\.", r".\1_norm."),
    (r"\.(self|cross)_attn\.", r".\1_attention."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".project."),
    (r"\.final_layer_norm\.", ".mlp_norm."),
    (r"\.fc1\.", ".expand."),
    (r"\.fc2\.", ".contract."),
)
"""From their names to ours, in this order; those of the backbone come elsewhere."""
RESNET_KEYS = (
    (r"^embedder\.embedder\.convolution\.", "conv1."),
    (r"^embedder\.embedder\.normalization\.", "bn1."),
    (r"^(resnet\.)?embedder\.embedder\.", ""),
    (r"^encoder\.stages\.(\d)\.layers\.", lambda found: f"layer{int(found[1]) + 1}."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.normalization\.", ".downsample.1."),
    (r"\.layer\.(\d)\.convolution\.", lambda found: f".conv{int(found[1]) + 1}."),
    (r"\.layer\.(\d)\.normalization\.", lambda found: f".bn{int(found[1]) + 1}."),
)


def arguments(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Of our Mask2Former. Raises CheckpointError for settings and backbones that it lacks."""
    demand(source, config, FIXED)
    backbone = config.get("backbone_config") or {}
    return {
        "encoder": _resnet(backbone, source) if backbone.get("model_type") == "resnet" else _swin(backbone, source),
        "level_norm": backbone["model_type"] == "swin",
        "pixel_decoder": "deformable",
        "pixel_layers": config.get("encoder_layers", 6),
        "pixel_hidden": config.get("encoder_feedforward_dim", 1024),
        "width": WIDTH,
        "queries": config.get("num_queries", 100),
        "layers": config.get("decoder_layers", 10) - 1,  # theirs counts the answers, of which one comes before the first layer
        "heads": config.get("num_attention_heads", 8),
        "hidden": config.get("dim_feedforward", 2048),
    }


def translated(state: Mapping[str, Tensor], config: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Tensor]:
    """The same tensors under our names, timm's spelled as in `wanted`; under theirs where we have none."""
    ours: dict[str, Tensor] = {}
    backbone: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.startswith(NEVER_READ):
            continue
        if key.startswith(BACKBONE):
            backbone[key.removeprefix(BACKBONE)] = tensor
        elif "in_proj_" in key:  # query, key and value in one
            for part, third in zip(("q", "k", "v"), tensor.chunk(3), strict=True):
                ours[_renamed(key.replace("in_proj_", f"{part}_proj."), KEYS)] = third
        else:
            ours[_renamed(key, KEYS)] = tensor
    if config["backbone_config"]["model_type"] == "swin":
        renamed = {f"backbone.{key}": tensor for key, tensor in backbone.items()}
        return ours | upernet.translated(renamed, config, wanted)
    return ours | {f"encoder.network.{_renamed(key, RESNET_KEYS)}": tensor for key, tensor in backbone.items()}


def _swin(backbone: Mapping[str, Any], source: str) -> str:
    """timm's name of the backbone, UPerNet's."""
    if backbone.get("model_type") != "swin":
        raise CheckpointError(
            source,
            expected="a backbone of swin or resnet",
            received=backbone.get("model_type") or "none in its config",
            hint="To train one like it, name the model mask2former and one of timm's encoders.",
        )
    encoder: str = upernet.arguments({"backbone_config": backbone}, source)["encoder"]
    return encoder


def _resnet(backbone: Mapping[str, Any], source: str) -> str:
    """timm's name of the backbone."""
    demand(source, backbone, FIXED_RESNET)
    size = backbone.get("layer_type", "bottleneck"), tuple(backbone.get("depths", (3, 4, 6, 3)))
    widths = [64, 128, 256, 512] if size[0] == "basic" else [256, 512, 1024, 2048]
    if size not in RESNET or list(backbone.get("hidden_sizes", widths)) != widths:
        raise CheckpointError(
            f"{source}, its resnet",
            expected="one that timm has",
            received=(*size, tuple(backbone.get("hidden_sizes", widths))),
            hint=f"Known: {', '.join(f'{name} {known}' for known, name in RESNET.items())}.",
        )
    return RESNET[size]


def _renamed(key: str, keys: Iterable[tuple[str, Any]]) -> str:
    for pattern, ours in keys:
        key = re.sub(pattern, ours, key)
    return key
