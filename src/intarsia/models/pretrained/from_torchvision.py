"""Torchvision's segmentation networks as ours: DeepLabv3, FCN and LR-ASPP, trained on COCO with the classes of Pascal VOC, and Mask
R-CNN, trained on COCO.

The networks are equal but for the last up-sampling, which in ours belongs to loss and decode, as the pasting of masks does;
tests/test_pretrained_torchvision.py and tests/test_pretrained_maskrcnn.py compare all with the originals.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError
from intarsia.core.licences import IMAGENET, Licences
from intarsia.core.pixels import Pixels
from intarsia.models.pretrained import _torchvision_mask_rcnn as mask_rcnn
from intarsia.models.pretrained.converted import Converted
from intarsia.models.pretrained.fitted import fitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

__all__ = ["NAMES", "convert", "listed"]

RATES = [12, 24, 36]
MOBILENET = {"encoder": "torchvision_mobilenet_v3_large", "output_stride": 16}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "deeplabv3_resnet50": ("deeplabv3", {"encoder": "resnet50", "output_stride": 8, "rates": RATES}),
    "deeplabv3_resnet101": ("deeplabv3", {"encoder": "resnet101", "output_stride": 8, "rates": RATES}),
    "deeplabv3_mobilenet_v3_large": ("deeplabv3", {**MOBILENET, "rates": RATES}),
    "fcn_resnet50": ("dilated_fcn", {"encoder": "resnet50", "output_stride": 8}),
    "fcn_resnet101": ("dilated_fcn", {"encoder": "resnet101", "output_stride": 8}),
    "lraspp_mobilenet_v3_large": ("lraspp", MOBILENET),
}
"""Of each that answers for every pixel the member of models/ and its arguments."""
NAMES = (*NETWORKS, *mask_rcnn.ARGUMENTS)
"""What can be translated, as torchvision calls it."""

HEADS = {
    "deeplabv3": {
        "classifier.0.convs.0.0": "aspp.point.conv",
        "classifier.0.convs.0.1": "aspp.point.norm",
        **{f"classifier.0.convs.{i + 1}.0": f"aspp.dilated.{i}.conv" for i in range(3)},
        **{f"classifier.0.convs.{i + 1}.1": f"aspp.dilated.{i}.norm" for i in range(3)},
        "classifier.0.convs.4.1": "aspp.image.conv",
        "classifier.0.convs.4.2": "aspp.image.norm",
        "classifier.0.project.0": "aspp.project.conv",
        "classifier.0.project.1": "aspp.project.norm",
        "classifier.1": "refine.conv",
        "classifier.2": "refine.norm",
        "classifier.4": "classify",
    },
    "dilated_fcn": {"classifier.0": "head.conv.conv", "classifier.1": "head.conv.norm", "classifier.4": "head.classify"},
    "lraspp": {
        "classifier.cbr.0": "point.conv",
        "classifier.cbr.1": "point.norm",
        "classifier.scale.1": "weigh",
        "classifier.low_classifier": "classify.fine",
        "classifier.high_classifier": "classify.coarse",
    },
}
"""Of each member of models/, torchvision's modules in our words."""
AUXILIARY = {
    "aux_classifier.0": "auxiliary.conv.conv",
    "aux_classifier.1": "auxiliary.conv.norm",
    "aux_classifier.4": "auxiliary.classify",
}
VOC = tuple(DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"])
LICENCES = Licences(
    weights="BSD-3-Clause; the data may add terms",
    data=f"COCO train2017 subset with VOC labels; {IMAGENET} for the backbone",
)
"""Torchvision's README: pretrained models may have terms of their own, derived from the data. So commercial use is not known to be
allowed."""


COCO_LICENCES = replace(LICENCES, data=f"COCO train2017; {IMAGENET} for the backbone")


def listed() -> Iterator[tuple[str, str, dict[str, Any], int, str, Licences]]:
    """Of each of NAMES the member of models/, its arguments and channels, what it was trained for, and its licences."""
    for name, (model, arguments) in NETWORKS.items():
        yield name, model, arguments, len(VOC), f"The {len(VOC)} classes of Pascal VOC, background included.", LICENCES
    for name, arguments in mask_rcnn.ARGUMENTS.items():
        classes = len(mask_rcnn.names(len(mask_rcnn.COCO)))
        yield name, "mask_rcnn", arguments, classes + 1, f"The {classes} classes of COCO's objects.", COCO_LICENCES


def convert(name: str, state: Mapping[str, Tensor]) -> Converted:
    """The network called `name`, one of NAMES, with the weights of `state`, its state dict, whatever the number of classes.

    An auxiliary head comes along where the state dict has one. Classes are called as torchvision calls them where their number is
    that of its own weights, 21 or of Mask R-CNN 80, else class0, class1 ... Raises CheckpointError for tensors, named, that have no
    place, do not fit or are missing.
    """
    if name in mask_rcnn.ARGUMENTS:
        return _mask_rcnn(name, state)
    model, arguments = NETWORKS[name][0], dict(NETWORKS[name][1])
    modules = HEADS[model]
    if any(key.startswith("aux_classifier.") for key in state) and model != "lraspp":
        modules = modules | AUXILIARY
        arguments["aux_level"] = 2 if "mobilenet" in name else -2  # both at stride 8
    scores = next(their for their, our in modules.items() if "classify" in our) + ".weight"
    channels = _channels(name, state, scores)
    pixels = Pixels()  # ImageNet's
    wanted = find("models", model)(channels, pixels=pixels, **arguments).state_dict()
    backbone = "encoder.features" if "mobilenet" in name else "encoder.network"
    table = {_ours(key, modules, backbone): key for key in state}
    return Converted(
        model=model,
        arguments=arguments,
        names=VOC if channels == len(VOC) else tuple(f"class{index}" for index in range(channels)),
        pixels=pixels,
        size=(520, 520),
        state=fitted(f"torchvision's {name}", {ours: state[key] for ours, key in table.items()}, wanted, table),
        licences=LICENCES,
        source=f"torchvision:{name}",
    )


def _mask_rcnn(name: str, state: Mapping[str, Tensor]) -> Converted:
    """Mask R-CNN, whose first channel, for background, becomes our last; channels of no class are left out."""
    channels = _channels(name, state, mask_rcnn.SCORES)
    names = mask_rcnn.names(channels)
    arguments, pixels = mask_rcnn.ARGUMENTS[name], Pixels()  # ImageNet's
    wanted = find("models", "mask_rcnn")(len(names) + 1, pixels=pixels, **arguments).state_dict()
    given, table = mask_rcnn.translated(state, list(names))
    return Converted(
        model="mask_rcnn",
        arguments=dict(arguments),
        names=tuple(names.values()),
        pixels=pixels,
        size=mask_rcnn.SIZE,
        state=fitted(f"torchvision's {name}", given, wanted, table),
        licences=COCO_LICENCES,
        source=f"torchvision:{name}",
        task="instance",
        things=tuple(names.values()),
    )


def _channels(name: str, state: Mapping[str, Tensor], scores: str) -> int:
    """Those that the tensor called `scores` tells."""
    if scores not in state:
        raise CheckpointError(
            f"torchvision's {name}",
            expected=f"a tensor {scores}",
            received=f"{len(state)} others, such as {', '.join(list(state)[:2])}" if state else "none at all",
            hint="The file is of another network; one of a classifier is for an encoder, as its weights.",
        )
    return len(state[scores])


def _ours(key: str, modules: Mapping[str, str], backbone: str) -> str:
    """Our name of one of torchvision's tensors; as it is where we have none."""
    if key.startswith("backbone."):
        return f"{backbone}.{key.removeprefix('backbone.')}"
    module, _, kind = key.rpartition(".")
    return f"{modules.get(module, module)}.{kind}"
