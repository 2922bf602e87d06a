"""EoMT of transformers (EomtForUniversalSegmentation) in our words, its DINOv2 in timm's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from intarsia.core.errors import CheckpointError
from intarsia.models.pretrained.settings import demand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["arguments", "translated"]

DINOV2 = {
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "giant": (1536, 40, 24),
}
"""Width, depth and heads by the size in timm's name; the giant alone gates its perceptrons."""
FIXED = {"hidden_act": "gelu", "num_channels": 3, "layer_norm_eps": 1e-6}
KEYS = (
    (r"^embeddings\.patch_embeddings\.projection\.", "encoder.network.patch_embed.proj."),
    (r"^embeddings\.position_embeddings\.weight$", "encoder.network.pos_embed"),
    (r"^embeddings\.cls_token$", "encoder.network.cls_token"),
    (r"^embeddings\.register_tokens$", "encoder.network.reg_token"),
    (r"^layernorm\.", "encoder.network.norm."),
    (r"^layers\.", "encoder.network.blocks."),
    (r"\.attention\.out_proj\.", ".attn.proj."),
    (r"\.attention\.([qkv])_proj\.", r".attn.\1."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
    (r"^query\.", "queries."),
    (r"^upscale_block\.block\.(\d+)\.conv1\.", r"scale.\1.enlarge."),
    (r"^upscale_block\.block\.(\d+)\.conv2\.", r"scale.\1.mix."),
    (r"^upscale_block\.block\.(\d+)\.layernorm2d\.", r"scale.\1.norm."),
    (r"^mask_head\.fc(\d)\.", lambda found: f"head.coefficients.{2 * int(found[1]) - 2}."),
    (r"^class_predictor\.", "head.classify."),
)
"""From their names to ours, in this order."""
JOINED = ((".attn.q.", ".attn.k.", ".attn.v.", ".attn.qkv."), (".mlp.gate_proj.", ".mlp.up_proj.", ".mlp.fc1."))
"""Parts, and what they are together in timm's."""
PROBABILITIES = "attn_mask_probs"


def arguments(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Of our EoMT. Raises CheckpointError for settings that it lacks."""
    demand(source, config, FIXED)
    size = tuple(
        config.get(name, default)
        for name, default in zip(("hidden_size", "num_hidden_layers", "num_attention_heads"), DINOV2["large"], strict=True)
    )
    gated = config.get("use_swiglu_ffn", False)
    known = next((name for name, each in DINOV2.items() if each == size and (name == "giant") == gated), None)
    vit: dict[str, Any] = {"img_size": _plain(config.get("image_size", 640)), "patch_size": _plain(config.get("patch_size", 16))}
    if known is None:
        vit |= dict(zip(("embed_dim", "depth", "num_heads"), size, strict=True))
    if config.get("num_register_tokens", 4) != 4:
        vit["reg_tokens"] = config["num_register_tokens"]
    if config.get("mlp_ratio", 4) != 4:
        vit["mlp_ratio"] = config["mlp_ratio"] * (4 / 3 if gated else 1)  # of the two thirds that a gate leaves, twice
    return {
        "encoder": f"vit_{known or ('giant' if gated else 'small')}_patch14_reg4_dinov2",
        "vit": vit,
        "queries": config.get("num_queries", 200),
        "blocks": config.get("num_blocks", 4),
        "scales": config.get("num_upscale_blocks", 2),
    }


def translated(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The same tensors under our names; under theirs where we have none.

    Raises CheckpointError where mask annealing (arXiv 2503.19108, section 3.3) has not ended.
    """
    given = {_ours(key): tensor for key, tensor in state.items() if not key.startswith("criterion.")}
    for *parts, whole in JOINED:
        for first in [name for name in given if parts[0] in name]:
            names = [first.replace(parts[0], part) for part in parts]
            if all(name in given for name in names):
                given[first.replace(parts[0], whole)] = torch.cat([given.pop(name) for name in names])
    positions = given.get("encoder.network.pos_embed")
    if positions is not None:
        given["encoder.network.pos_embed"] = positions[None]
    chances = given.pop(PROBABILITIES, None)
    if chances is not None and chances.any():
        raise CheckpointError(
            f"{source}, its {PROBABILITIES}",
            expected="0 throughout",
            received=chances.tolist(),
            hint="Its training has not ended: it still needs its masks.",
        )
    return given


def _plain(size: Any) -> Any:
    """A size as JSON has it."""
    return list(size) if isinstance(size, tuple | list) else size


def _ours(key: str) -> str:
    for pattern, ours in KEYS:
        key = re.sub(pattern, ours, key)
    return key
