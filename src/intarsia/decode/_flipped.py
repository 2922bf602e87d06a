"""Test-time flip."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense
from intarsia.decode._arrays import as_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core.output import Output
    from intarsia.core.protocols import Scorer

__all__ = ["flipped"]


def flipped(scorer: Scorer) -> Scorer:
    """A Scorer whose logits, centre and offset are the means of those of the image and, mirrored back, of its mirror image (left to
    right); the x of the offset, mirrored, points the other way.

    For Dense outputs, in numpy. Raises InvalidNoun for other outputs.

    >>> first_column_bright = lambda image, *, stats=None: Dense(np.array([[[[4.0, 0.0]]]]))  # (1, 1, 1, 2), whatever the image
    >>> flipped(first_column_bright)(np.zeros((1, 2, 3), np.uint8)).logits.tolist()
    [[[[2.0, 2.0]]]]
    """
    return partial(_score, scorer)


def _score(scorer: Scorer, image: NDArray[Any], *, stats: NDArray[np.float32] | None = None) -> Output:
    """Both ways through the scorer; a copy of the mirrored image, because torch takes no negative strides."""
    plain, mirrored = scorer(image, stats=stats), scorer(np.ascontiguousarray(image[..., ::-1, :]), stats=stats)
    if not isinstance(plain, Dense) or not isinstance(mirrored, Dense):
        raise InvalidNoun("flipped", expected="a scorer of Dense outputs", received=type(plain).__name__)
    logits, centre, offset = (_mean(name, getattr(plain, name), getattr(mirrored, name)) for name in ("logits", "centre", "offset"))
    return Dense(logits, centre, offset, align_corners=plain.align_corners)


def _mean(name: str, plain: Any, mirrored: Any) -> NDArray[np.float32] | None:
    """The mean of an array (1, C, *s) of the image and, mirrored back, that of its mirror image; None where there is none."""
    if plain is None:
        return None
    back = as_array(name, mirrored)[..., ::-1]
    if name == "offset":  # (1, d, *s), x last
        back = np.concatenate([back[:, :-1], -back[:, -1:]], axis=1)
    return (as_array(name, plain) + back) / np.float32(2)
