"""Torchvision's Mask R-CNN as ours: its names of tensors, its order of classes, its batch norm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["ARGUMENTS", "COCO", "SCORES", "SIZE", "names", "translated"]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "maskrcnn_resnet50_fpn": {"encoder": "resnet50"},
    "maskrcnn_resnet50_fpn_v2": {"encoder": "resnet50", "proposal_layers": 2, "box_layers": 4, "norm": True},
}
"""Of each the arguments of ours."""
SCORES = "roi_heads.box_predictor.cls_score.weight"
SIZE = (800, 1066)
"""What torchvision makes of the usual photograph of COCO, 480x640: the shorter edge becomes 800."""
COCO = tuple(MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
"""By channel, 91: background, 80 classes, and N/A where the ids of COCO have gaps."""
BY_CLASS = ("regions.box.classify.", "regions.mask.classify.")
"""How the names of tensors begin whose first axis goes by class."""
NAMES = (
    (r"^backbone\.body\.", "encoder.network."),
    (r"^backbone\.fpn\.(\w+_blocks\.\d+)\.(\w+)$", r"pyramid.network.\1.0.\2"),  # as files of its first version have it
    (r"^backbone\.fpn\.", "pyramid.network."),
    (r"^rpn\.head\.conv\.(\w+)$", r"proposals.head.conv.0.0.\1"),  # the same
    (r"^rpn\.head\.", "proposals.head."),
    (r"^roi_heads\.box_head\.", "regions.box.body."),
    (r"^roi_heads\.box_predictor\.cls_score\.", "regions.box.classify.scores."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "regions.box.classify.boxes."),
    (r"^roi_heads\.mask_predictor\.conv5_mask\.", "regions.mask.enlarge."),
    (r"^roi_heads\.mask_predictor\.mask_fcn_logits\.", "regions.mask.classify."),
    (r"^roi_heads\.mask_head\.mask_fcn(\d+)\.", lambda found: f"regions.mask.body.{int(found[1]) - 1}.0."),  # the same
    (r"^roi_heads\.mask_head\.", "regions.mask.body."),
)
"""Torchvision's names of tensors and ours, the first that fits."""
EPSILON = 1e-5
"""Of our batch norm."""


def names(channels: int) -> dict[int, str]:
    """The classes by channel, background and gaps left out; class0, class1 ... for another number of channels than COCO's.

    >>> names(3), len(names(91)), names(91)[90]
    ({1: 'class0', 2: 'class1'}, 80, 'toothbrush')
    """
    if channels != len(COCO):
        return {channel: f"class{channel - 1}" for channel in range(1, channels)}
    return {channel: name for channel, name in enumerate(COCO) if name not in ("__background__", "N/A")}


def translated(state: Mapping[str, Tensor], kept: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors under our names, and torchvision's name of each; of its channels those that are `kept`, then background.

    Where the batch norms of the encoder have no counters they are taken for the frozen ones of torchvision's own file, without an
    epsilon: the scale makes up for ours.
    """
    theirs = {_ours(key): key for key in state}
    ours = {name: state[key] for name, key in theirs.items()}
    rows = torch.tensor([*kept, 0])
    for name, tensor in ours.items():
        if name.startswith(BY_CLASS):
            if name.startswith("regions.box.classify.boxes."):
                tensor = tensor.view(-1, 4, *tensor.shape[1:])  # (4 C) -> (C, 4)
            ours[name] = tensor[rows] if len(tensor) > rows.max() else tensor  # else too few, and `fitted` says so
    if not any(name.startswith("encoder.") and name.endswith("num_batches_tracked") for name in ours):
        for name in [name for name in ours if name.startswith("encoder.") and name.endswith("running_var")]:
            scale = name.removesuffix("running_var") + "weight"
            if scale in ours:
                spread = ours[name].double().clamp(min=1e-30)  # of a channel that never differs it may be no number of 32 bits
                ours[scale] = (ours[scale] * ((spread + EPSILON) / spread).sqrt()).to(ours[scale])
    return ours, theirs


def _ours(key: str) -> str:
    """Our name of one of torchvision's tensors; as it is where we have none."""
    for theirs, ours in NAMES:
        if re.search(theirs, key):
            return re.sub(theirs, ours, key)
    return key
