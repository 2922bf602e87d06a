"""The one warp: an image and its ids moved by the same matrix, each pixel read once.

A matrix (d+1, d+1) is homogeneous and maps a point of the OUTPUT to the point of the source it shows, along the axes of S in their
order (rows before columns). Points are measured in pixel edges: pixel i covers i..i+1 and its centre is i + 0.5, so a resize is a
pure scaling and a flip is x -> W - x. An image is read bilinearly, ids at the nearest pixel, the one that holds the same point.
Shrinking averages: where two reads are more than 1.5 pixels apart the image is smoothed before, from 3 on read by area.
In a volume the depth axis must stay apart from the other two: every slice takes the same warp, then one pass resamples the depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.ops._depth import depth_apart, depth_weights
from intarsia.ops.colour import rounded
from intarsia.ops.planes import inside_plane, nearest, nearest_plane, warp_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["inside", "resizing", "warp_ids", "warp_image"]

Size = tuple[int, ...]


def resizing(source: Size, size: Size) -> NDArray[np.float64]:
    """The matrix (d+1, d+1) that shows the whole of `source` at `size`.

    >>> resizing((4, 6), (2, 2)).tolist()
    [[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return np.diag([*(old / new for old, new in zip(source, size, strict=True)), 1.0])


def warp_image(image: NDArray[Any], matrix: NDArray[np.float64], size: Size) -> NDArray[Any]:
    """An image (*S, C) as seen through `matrix` at `size`, in its own dtype; 0 where a centre falls outside the source.

    Raises OptionError for a volume whose matrix mixes depth with another axis.

    >>> warp_image(np.uint8([[[10], [20]]]), resizing((1, 2), (1, 4)), (1, 4)).ravel().tolist()
    [10, 13, 18, 20]
    """
    if image.ndim == 3:
        return warp_plane(image, matrix, size)
    depth, plane = depth_apart(matrix)
    weights = depth_weights(depth, len(image), size[0])  # (D', D)
    used = np.flatnonzero(weights.any(axis=0))
    slices = [warp_plane(image[z], plane, size[1:]) for z in used]
    if not slices:
        return np.zeros((*size, image.shape[-1]), image.dtype)
    stack = np.stack(slices)  # (D used, H', W', C)
    weights = weights[:, used]
    if np.isin(weights, (0, 1)).all():  # a crop or a flip moves whole slices: nothing to interpolate
        moved: NDArray[Any] = stack[weights.argmax(axis=1)]  # (D', H', W', C)
        moved[~weights.any(axis=1)] = 0
        return moved
    kind = np.result_type(image.dtype, np.float32)
    blended: NDArray[Any] = weights.astype(kind) @ stack.reshape(len(stack), -1).astype(kind)  # (D', H' W' C)
    return rounded(blended, image.dtype).reshape(*size, -1)


def warp_ids(ids: NDArray[Any], matrix: NDArray[np.float64], size: Size, *, outside: int = -1) -> NDArray[Any]:
    """Integers (L, *S) at the nearest pixel, in their own dtype; outside the source `outside` in layer 0, 0 in the layers above.

    >>> warp_ids(np.int8([[[1, 2]]]), resizing((1, 2), (1, 4)), (1, 4)).tolist()
    [[[1, 1, 2, 2]]]
    """
    if ids.ndim == 4:
        depth, plane = depth_apart(matrix)
        index, hit = nearest(depth[0], depth[1], ids.shape[1], size[0])
        flat = ids[:, index[hit]].reshape(-1, *ids.shape[2:])  # (L D hit, H, W)
        warped = np.stack([nearest_plane(part, plane, size[1:], 0) for part in flat] or [np.zeros(size[1:], ids.dtype)])
        found = np.zeros((len(ids), *size), ids.dtype)
        found[:, hit] = warped.reshape(len(ids), -1, *size[1:]) if hit.any() else 0
        within = inside(ids.shape[1:], matrix, size)
        if within is not None:
            found[0][~within] = outside
        return found
    return np.stack([nearest_plane(layer, matrix, size, 0 if level else outside) for level, layer in enumerate(ids)])


def inside(source: Size, matrix: NDArray[np.float64], size: Size) -> NDArray[np.bool_] | None:
    """(*size) whether the centre of each output pixel falls within the source; None where all do."""
    near, far = matrix[:-1, :-1] * 0.5, matrix[:-1, :-1] * (np.array(size) - 0.5)  # (d, d) what each axis adds at either end
    low, high = np.minimum(near, far).sum(axis=1) + matrix[:-1, -1], np.maximum(near, far).sum(axis=1) + matrix[:-1, -1]
    if low.min() > 1e-6 and (high < np.array(source) - 1e-6).all():  # clear of rounding
        return None
    if len(source) == 3:
        depth, plane = depth_apart(matrix)
        _, hit = nearest(depth[0], depth[1], source[0], size[0])
        flat = inside(source[1:], plane, size[1:])
        return hit[:, None, None] & (np.ones(size[1:], np.bool_) if flat is None else flat)
    return inside_plane(source, matrix, size)
