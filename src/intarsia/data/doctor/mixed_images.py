"""Images that differ in channels or bit depth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["mixed_images"]


def _kind(one: Facts) -> tuple[int, str]:
    return (one.image.channels, one.image.dtype) if one.image else (0, "")


def usual(survey: Survey) -> tuple[int, str]:
    """Channels and depth of most images."""
    kinds = Counter(_kind(one) for one in survey.facts if one.image and not one.image.error)
    return kinds.most_common(1)[0][0] if kinds else (0, "")


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    most = usual(survey)
    some = [one for one in survey.facts if one.image and not one.image.error and _kind(one) != most]
    kinds = Counter(map(_kind, some)).most_common()
    told = ", ".join(f"{count} with {channels} of {dtype}" for (channels, dtype), count in kinds)
    return some, {"most": f"{most[0]} channel{'s' * (most[0] > 1)} of {most[1]}", "told": told}


def _mend(part: Part, survey: Survey) -> None:
    """Alpha goes, grey becomes RGB, RGB becomes grey, 16 bits become 8 of their range, as most images are."""
    channels, dtype = usual(survey)
    image = part.image[..., :3] if part.image.shape[-1] == 4 else part.image
    if image.shape[-1] == 1 and channels == 3:
        image = np.repeat(image, 3, axis=-1)
    elif image.shape[-1] == 3 and channels == 1:
        image = image.mean(axis=-1, keepdims=True).astype(image.dtype)
    elif channels == 4:
        image = np.concatenate([np.repeat(image, 3, axis=-1)[..., :3], np.full((*image.shape[:2], 1), 255, image.dtype)], axis=-1)
    if dtype == "uint8" and image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = ((image.astype(np.float64) - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    part.image = np.ascontiguousarray(image.astype(dtype) if image.dtype.name != dtype else image)


mixed_images = Check(
    "error",
    _cases,
    "{count} image{s} of another kind than most, which have {most}: {told}",
    "Save all images with the same channels and depth, for instance without alpha",
    _mend,
    of_images=True,
)
