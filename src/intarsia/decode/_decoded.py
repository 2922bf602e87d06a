"""A Scorer and a decoder make a Predictor."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from intarsia.decode.semantic import semantic

if TYPE_CHECKING:
    from collections.abc import Callable

    from intarsia.core.classes import ClassSet
    from intarsia.core.protocols import Image, Predictor, Scorer
    from intarsia.core.segments import Segments

__all__ = ["decoded"]


def decoded(scorer: Scorer, classes: ClassSet, decode: Callable[..., list[Segments]] = semantic, **options: Any) -> Predictor:
    """Image (*S, C) -> Segments at the image's own size: `scorer`, then a member of `intarsia.decode` with its options.

    >>> import numpy as np
    >>> from intarsia.core import ClassSet, Dense
    >>> brightness = lambda image, *, stats=None: Dense(np.stack([100.0 - image[..., 0], image[..., 0]])[None])
    >>> predict = decoded(brightness, ClassSet(("dark", "bright")))
    >>> predict(np.array([[[10], [90]]])).semantic(2).tolist()
    [[0, 1]]
    """
    return partial(_predict, scorer, classes, partial(decode, **options))


def _predict(scorer: Scorer, classes: ClassSet, decode: Callable[..., list[Segments]], image: Image) -> Segments:
    """One image through both; at module level, so that a Predictor can be sent to another process."""
    [segments] = decode(scorer(image[...]), [image.shape[:-1]], classes)
    return segments
