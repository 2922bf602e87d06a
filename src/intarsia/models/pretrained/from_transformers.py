"""Networks of transformers as ours, told by the `model_type` in their config.json: SegFormer, UPerNet (on ConvNeXt or Swin),
Mask2Former (on Swin or ResNet) and EoMT (on DINOv2).

The networks are equal but for the last up-sampling, which in ours belongs to loss and decode, the epsilons of some layer norms, and
what UPerNet, Mask2Former and EoMT do with sizes that are no multiples of their patches; tests/test_pretrained_transformers.py and
those named after the last two compare them. Two spellings of keys are read: that of files, and that of transformers 5 in memory.
What matters in training alone is left to our defaults, but for the dropout before SegFormer's last layer.

`id2label` names the classes. It is written after `do_reduce_labels`, where label files count from 1 and 0 is void; neither that nor
`semantic_loss_ignore_index` (255) touches the network: void is no class here, and labels are matched by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError
from intarsia.core.licences import UNKNOWN, Licences
from intarsia.core.pixels import Pixels
from intarsia.models.pretrained import _transformers_eomt as eomt
from intarsia.models.pretrained import _transformers_mask2former as mask2former
from intarsia.models.pretrained import _transformers_segformer as segformer
from intarsia.models.pretrained import _transformers_upernet as upernet
from intarsia.models.pretrained._told_by_name import told_by_name
from intarsia.models.pretrained.converted import Converted
from intarsia.models.pretrained.fitted import fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["MODELS", "convert"]

SETS = ("mask2former", "eomt")
"""Those that answer with a set of masks, whose last class is that there is no object."""
ARGUMENTS = {
    "segformer": segformer.arguments,
    "upernet": upernet.arguments,
    "mask2former": mask2former.arguments,
    "eomt": eomt.arguments,
}
MODELS = tuple(ARGUMENTS)
"""What can be translated, by `model_type`."""
SCORES = {kind: "class_predictor.weight" if kind in SETS else "decode_head.classifier.weight" for kind in MODELS}
PUBLISHERS = {
    "nvidia/segformer-": "NVIDIA Source Code License (non-commercial)",
    "openmmlab/upernet-": "unknown",
    "facebook/mask2former-": "unknown",
}
"""The licence of the weights by the beginning of their name on the hub; one not known here is told by the card beside them."""
ADE20K = "ADE20K terms (non-commercial research)"
DATA = {
    "-ade-": ADE20K,
    "openmmlab/": ADE20K,
    "-cityscapes-": "Cityscapes terms (non-commercial)",
    "-coco-": "COCO train2017",
    "-mapillary-": "Mapillary Vistas terms (non-commercial research)",
}
"""What they were trained on, by a part of their name."""


def convert(config: Mapping[str, Any], state: Mapping[str, Tensor], source: str = "transformers") -> Converted:
    """The network that `config`, the content of a config.json, describes, with the weights of `state`.

    `source`, such as hf:nvidia/segformer-b0-finetuned-ade-512-512, tells licence and size where it can; else the licence is unknown
    and the size 512x512. Raises CheckpointError for another `model_type`, for settings that ours has no place for, and, naming
    them, for tensors that have no place, do not fit or are missing.
    """
    kind = config.get("model_type", "none")
    if kind not in MODELS:
        raise CheckpointError(source, expected=f"a model_type of {' or '.join(MODELS)}", received=kind)
    scores = SCORES[kind]
    if scores not in state:
        raise CheckpointError(
            source, expected=f"a tensor {scores}", received=f"{len(state)} others", hint="A segmentation network has one."
        )
    arguments = ARGUMENTS[kind](config, source)
    channels = len(state[scores])
    if channels == 1:
        raise CheckpointError(source, expected="a channel for each of two classes or more", received="one, for a sigmoid")
    names = _names(config, channels - (kind in SETS), source)
    pixels = Pixels()  # ImageNet's
    wanted = find("models", kind)(channels, pixels=pixels, **arguments).state_dict()
    task, things = told_by_name(source, names) if kind in SETS else ("semantic", ())
    return Converted(
        model=kind,
        arguments=arguments,
        names=names,
        pixels=pixels,
        size=_size(config, source),
        state=fitted(source, _translated(kind, state, config, wanted, source), wanted),
        licences=_licences(source),
        source=source,
        task=task,
        things=things,
    )


def _translated(
    kind: str, state: Mapping[str, Tensor], config: Mapping[str, Any], wanted: Mapping[str, Tensor], source: str
) -> dict[str, Tensor]:
    """The tensors under our names."""
    if kind == "segformer":
        return segformer.translated(state)
    if kind == "eomt":
        return eomt.translated(state, source)
    if kind == "mask2former":
        return mask2former.translated(state, config, wanted)
    return upernet.translated(state, config, wanted)


def _names(config: Mapping[str, Any], channels: int, source: str) -> tuple[str, ...]:
    """By channel, from `id2label`; class0, class1 ... where there is none. A name that occurs again gets its channel behind it."""
    labels = {int(index): str(label) for index, label in config.get("id2label", {}).items()}
    if not labels:
        return tuple(f"class{index}" for index in range(channels))
    if sorted(labels) != list(range(channels)):
        raise CheckpointError(
            source, expected=f"id2label with 0 to {channels - 1}, as there are channels", received=f"{len(labels)} labels"
        )
    names = [labels[index] for index in range(channels)]
    return tuple(f"{name} ({index})" if name in names[:index] else name for index, name in enumerate(names))


def _size(config: Mapping[str, Any], source: str) -> tuple[int, int]:
    """(H, W) that EoMT's config tells, else at the end of the name, as in segformer-b1-finetuned-cityscapes-1024-1024."""
    told = config.get("image_size") if config.get("model_type") == "eomt" else None
    if told is not None:
        return (told, told) if isinstance(told, int) else (told[0], told[1])
    found = re.search(r"-(\d{3,4})-(\d{3,4})/?$", source)
    return (int(found[1]), int(found[2])) if found else (512, 512)


def _licences(source: str) -> Licences:
    """Of the weights where whoever publishes them is known by name, of the data where it is in the name."""
    name = source.removeprefix("hf:").lower()
    publisher = next((prefix for prefix in PUBLISHERS if name.startswith(prefix)), None)
    data = next((terms for word, terms in DATA.items() if publisher and word in name), UNKNOWN)
    return Licences(weights=PUBLISHERS[publisher] if publisher else UNKNOWN, data=data)
