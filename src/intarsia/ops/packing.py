"""Packing: masks that may overlap, laid out on as few integer maps as first fit finds."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.core.segments import Segments, narrow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    Crop = tuple[tuple[slice, ...], NDArray[np.bool_]]
    """A window of the image, and the pixels of one mask within it."""

__all__ = ["pack", "pack_crops", "window_of"]

MANY = 32
"""Layers from which on a stack of maps is no longer the cheap form."""


def pack(
    masks: ArrayLike,
    classes: ArrayLike,
    *,
    void: NDArray[np.bool_] | None = None,
    scores: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    boxes: ArrayLike | None = None,
    areas: ArrayLike | None = None,
) -> Segments:
    """The Segments of N masks (N, *S), bool or 0 for outside: each goes to the first layer whose pixels it needs are free.

    The masks come back exactly, in their order, a mask without pixels as a row without pixels. A pixel of `void` (*S) is void and
    no mask's: a mask that covers it loses that pixel and keeps the rest. Given boxes and areas are stored as they are.
    Raises InvalidNoun where shapes or counts differ; warns of labels, which have no scores, above 32 layers, where a map per object
    would be no larger.

    >>> two = pack([[[1, 1, 0]], [[0, 1, 1]]], classes=[0, 0], void=np.array([[True, False, False]]))
    >>> two.ids.tolist()
    [[[-1, 1, 0]], [[0, 2, 2]]]
    """
    stack = np.asarray(masks)
    if stack.ndim not in (3, 4) or stack.dtype.kind not in "bui":
        raise InvalidNoun("masks", expected="bool of shape (N, H, W) or (N, D, H, W)", received=f"{stack.dtype} {stack.shape}")
    if np.size(classes) != len(stack):
        raise InvalidNoun("masks", expected=f"one class for each of {len(stack)}", received=f"{np.size(classes)} classes")
    crops = ((box, mask[box].astype(np.bool_, copy=False)) for mask in stack for box in [window_of(mask)])
    return pack_crops(crops, stack.shape[1:], classes, void=void, scores=scores, crowd=crowd, boxes=boxes, areas=areas)


def pack_crops(
    crops: Iterable[Crop],
    size: tuple[int, ...],
    classes: ArrayLike,
    *,
    void: NDArray[np.bool_] | None = None,
    scores: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    boxes: ArrayLike | None = None,
    areas: ArrayLike | None = None,
) -> Segments:
    """`pack` for masks that are given one by one, each as a window of an image of `size` and its pixels there.

    >>> pack_crops([((slice(0, 1), slice(1, 3)), np.array([[True, True]]))], (1, 3), [4]).ids.tolist()
    [[[0, 1, 1]]]
    """
    if void is not None and void.shape != size:
        raise InvalidNoun("void", expected=f"the masks' size {size}", received=void.shape)
    rows = np.size(classes)
    dtype = narrow(-1, rows)
    layers: list[NDArray[np.signedinteger[Any]]] = [np.zeros(size, dtype)]
    for row, (box, crop) in enumerate(crops, start=1):
        if void is not None:
            crop = crop & ~void[box]
        layer = next((layer for layer in layers if not np.logical_and(layer[box], crop).any()), None)
        if layer is None:
            layer = np.zeros(size, dtype)
            layers.append(layer)
        np.copyto(layer[box], row, where=crop)
    if void is not None:
        layers[0][void] = -1
    if len(layers) > MANY and scores is None:
        warnings.warn(
            f"{rows} masks overlap so much that they take {len(layers)} layers; leave out duplicates to save memory.", stacklevel=2
        )
    return Segments(np.stack(layers), classes, scores=scores, crowd=crowd, boxes=boxes, areas=areas)


def window_of(mask: NDArray[Any]) -> tuple[slice, ...]:
    """The window of a mask (*S) that holds its pixels; empty for an empty mask.

    >>> window_of(np.array([[0, 1], [0, 1]]))
    (slice(0, 2, None), slice(1, 2, None))
    """
    inside = mask if mask.dtype == np.bool_ else mask != 0
    if mask.ndim == 2:
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8)) if mask.size else (0, 0, 0, 0)
        return slice(top, top + height), slice(left, left + width)
    first = window_of(inside.reshape(len(inside), -1))[0]
    rest = window_of(np.asarray(inside[first].any(axis=0)))
    return (first, *rest)
