"""Another sample, made to fit beside the one that takes from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.ops.colour import rounded
from intarsia.transforms._compose import Compose
from intarsia.transforms.flip import Flip
from intarsia.transforms.scale_and_crop import ScaleAndCrop

if TYPE_CHECKING:
    from collections.abc import Callable

    from intarsia.core import Sample
    from intarsia.core.protocols import Transform

__all__ = ["fitting_donor"]


def fitting_donor(
    sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None, prepare: Transform | None, name: str
) -> Sample:
    """A further sample, moved by `prepare`, else at a random scale cut to the sample's size and perhaps flipped.

    Where both know the range of their values (`Pixels` of kind per_image), those of the donor are brought to the sample's, for the
    network scales each picture by its own. Raises OptionError without a donor, InvalidNoun for one of another kind or size.
    """
    if donor is None:
        raise OptionError(f"{name} donor", expected="a function that gives another sample", hint="The loader passes it.")
    size, other = sample.image.shape[:-1], donor()
    kinds = [(len(one.image.shape), one.image.shape[-1], one.image.dtype) for one in (sample, other)]
    if kinds[0] == kinds[1]:
        other = (prepare or Compose((ScaleAndCrop(size), Flip())))(other, rng)
    if kinds[0] != kinds[1] or other.image.shape != sample.image.shape:
        raise InvalidNoun(
            f"{name} donor {other.key!r}",
            expected=f"an image of the sample's kind, {sample.image.dtype} {sample.image.shape}",
            received=f"{other.image.dtype} {other.image.shape}",
        )
    if sample.stats is None or other.stats is None or np.array_equal(sample.stats, other.stats):
        return other
    (low, high), (from_, to) = sample.stats.T.astype(np.float64), other.stats.T.astype(np.float64)  # (C,) each
    scaled = (other.image - from_) * ((high - low) / (to - from_)) + low
    return replace(other, image=rounded(scaled, sample.image.dtype), stats=sample.stats)
