"""The one door by which an Output's arrays, numpy's or torch's, come into numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["as_array", "check_images"]


def as_array(name: str, array: Any) -> NDArray[np.float32]:
    """`array` as numpy float32, without a copy where it is float32 already.

    Raises InvalidNoun for a tensor numpy cannot see: on another device, in bfloat16, or with a gradient.
    """
    try:
        return np.asarray(array, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidNoun(
            name, expected="a numpy array or a CPU tensor", received=reason, hint="Call .detach().float().cpu() on it first."
        ) from error


def check_images(batch: Any, sizes: Sequence[tuple[int, ...]]) -> None:
    """Raises InvalidNoun unless there is one size for each image of the batch."""
    if len(sizes) != len(batch):
        raise InvalidNoun("sizes", expected=f"one for each of {len(batch)} images", received=len(sizes))
