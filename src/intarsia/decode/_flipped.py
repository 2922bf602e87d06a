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
    """A Scorer whose logits are the mean of those of the image and, mirrored back, of its mirror image (left to right).

    For Dense outputs, in numpy; centre and offset stay those of the image as it is. Raises InvalidNoun for other outputs.

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
    mean = (as_array("logits", plain.logits) + as_array("logits", mirrored.logits)[..., ::-1]) / 2  # (1, C, *s)
    return Dense(mean, centre=plain.centre, offset=plain.offset, align_corners=plain.align_corners)
