"""The licence of an encoder's weights."""

from __future__ import annotations

import timm

from intarsia.core.licences import spelled
from intarsia.models.encoders.weights import file_licence

__all__ = ["encoder_licence"]


def encoder_licence(name: str, weights: str) -> str:
    """That of timm's record of its own weights, or what a local file says or is known by; "none" for random ones, else "unknown".

    >>> encoder_licence("mobilenetv2_100", "none"), encoder_licence("vgg16", "timm")
    ('none', 'BSD-3-Clause')
    """
    if weights == "none":
        return "none"
    if weights != "timm":
        return file_licence(weights)
    record = timm.get_pretrained_cfg(name)
    return spelled(record.license if record else None)
