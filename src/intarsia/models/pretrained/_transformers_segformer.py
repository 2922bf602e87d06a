"""SegFormer of transformers (SegformerForSemanticSegmentation) in our words, whatever its widths and depths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from intarsia.models.encoders.mit import SIZES, own_key
from intarsia.models.pretrained.settings import demand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["arguments", "translated"]

KEYS = (
    (r"^decode_head\.(linear_c|linear_projections)\.(\d)\.proj\.", r"head.project.\2."),
    (r"^decode_head\.linear_fuse\.", "head.fuse."),
    (r"^decode_head\.batch_norm\.", "head.norm."),
    (r"^decode_head\.classifier\.", "classify."),
)
"""From their names of the head's tensors to ours; those of the encoder stand beside it."""
DEFAULTS = {
    "hidden_sizes": SIZES["b0"][0],
    "depths": SIZES["b0"][1],
    "num_attention_heads": (1, 2, 5, 8),
    "sr_ratios": (8, 4, 2, 1),
    "mlp_ratios": (4, 4, 4, 4),
}
"""What a config that says nothing means, in the order in which our encoder's name is spelled."""
FIXED = {"num_encoder_blocks": 4, "patch_sizes": [7, 3, 3, 3], "strides": [4, 2, 2, 2], "hidden_act": "gelu", "num_channels": 3}


def arguments(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Of our SegFormer. Raises CheckpointError for settings that it lacks."""
    demand(source, config, FIXED)
    spelled = ["-".join(str(number) for number in config.get(name, default)) for name, default in DEFAULTS.items()]
    usual = ["-".join(map(str, default)) for default in DEFAULTS.values()]
    paper = (name for name, size in SIZES.items() if ["-".join(map(str, each)) for each in size] + usual[2:] == spelled)
    return {
        "encoder": f"mit_{next(paper, '_'.join(spelled))}",
        "width": config.get("decoder_hidden_size", 256),
        "dropout": config.get("classifier_dropout_prob", 0.1),
    }


def translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names; under theirs where we have none."""
    return {_ours(key): tensor for key, tensor in state.items()}


def _ours(key: str) -> str:
    if key.startswith("segformer."):
        return f"encoder.{own_key(key)}"
    for pattern, ours in KEYS:
        key = re.sub(pattern, ours, key)
    return key
