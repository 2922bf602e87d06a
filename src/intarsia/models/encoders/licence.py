"""The licence of an encoder's weights, and the terms of what they learnt from."""

from __future__ import annotations

from intarsia.core.licences import IMAGENET, UNKNOWN, joined, spelled
from intarsia.models.encoders.timm_encoder import record_of
from intarsia.models.encoders.weights import file_data, file_licence

__all__ = ["encoder_data", "encoder_licence", "timm_licence"]

DATA = {word: IMAGENET.replace("1k", size) for word, size in (("1k", "1k"), ("12k", "12k"), ("21k", "21k"), ("22k", "21k"))}
"""By what timm's tags say after `in`, such as in12k."""


def encoder_licence(name: str, weights: str) -> str:
    """That of timm's record of its own weights, or what a local file says or is known by; "none" for random ones, else "unknown".

    >>> encoder_licence("mobilenetv2_100", "none"), encoder_licence("vgg16", "timm")
    ('none', 'BSD-3-Clause')
    """
    if weights == "none":
        return "none"
    return timm_licence(name) or UNKNOWN if weights == "timm" else file_licence(weights)


def timm_licence(name: str) -> str | None:
    """The licence of timm's weights for an encoder; None where timm has none.

    >>> timm_licence("resnet18"), timm_licence("mit_b0")
    ('Apache-2.0', None)
    """
    record = record_of(name)
    return spelled(record.license) if record and record.has_weights else None


def encoder_data(name: str, weights: str) -> str:
    """The terms of the data: by the tag of timm's weights, or what a local file says or is known by; else as `encoder_licence`.

    >>> encoder_data("mobilenetv2_100", "timm")
    'ImageNet-1k terms (non-commercial research)'
    """
    if weights == "none":
        return "none"
    if weights != "timm":
        return file_data(weights)
    record = record_of(name)
    stages = (record.tag or "").split("_ft_") if record else [""]  # pretrained, then fine-tuned
    return joined(*(terms for stage in stages for terms in _told(stage)))


def _told(stage: str) -> list[str]:
    """The terms of each data set in a part of a tag, such as in12k_in1k."""
    words = (word.removeprefix("in") for word in stage.split("_") if word.startswith("in"))
    return [DATA[word] for word in words if word in DATA] or [UNKNOWN]
