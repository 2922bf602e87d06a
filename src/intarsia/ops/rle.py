"""COCO's run lengths, and its way to fill polygons: by pycocotools, so that every pixel is COCO's.

Lin et al. 2014 (arXiv 1405.0312); the code is github.com/cocodataset/cocoapi, common/maskApi.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

from intarsia.core.errors import LabelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Rle = Mapping[str, Any]
    """`size` (height, width) and `counts`: the lengths of runs in column order, outside first, plain or as COCO's text."""

__all__ = ["from_rle", "from_segmentation", "to_rle"]


def to_rle(mask: NDArray[Any]) -> dict[str, Any]:
    """The run lengths of a mask (H, W), counts as COCO's text.

    >>> to_rle(np.array([[0, 1], [0, 1]]))
    {'size': [2, 2], 'counts': '22'}
    """
    packed = coco.encode(np.asfortranarray(mask != 0, dtype=np.uint8))
    return {"size": [int(extent) for extent in packed["size"]], "counts": packed["counts"].decode()}


def from_rle(rle: Rle) -> NDArray[np.bool_]:
    """(H, W) the mask of run lengths, the inverse of `to_rle`. Raises LabelError for what are none, or not of that size.

    >>> from_rle({"size": [2, 2], "counts": [2, 2]}).tolist()
    [[False, True], [False, True]]
    """
    try:
        height, width = (int(extent) for extent in rle["size"])
        counts = rle["counts"]
        if isinstance(counts, str | bytes):
            return coco.decode({"size": [height, width], "counts": counts}).view(np.bool_)  # type: ignore[no-any-return]
        lengths = np.asarray(counts, dtype=np.int64)
        if lengths.min(initial=0) < 0 or lengths.sum() != height * width:
            raise ValueError(f"counts that add up to {lengths.sum()}, in an image of {height * width} pixels")
        inside = np.arange(len(lengths)) % 2 == 1
        return np.repeat(inside, lengths).reshape(width, height).T  # (W, H) -> (H, W)
    except (KeyError, TypeError, ValueError) as error:
        raise LabelError("run lengths", expected="size (height, width) and counts that fill it", received=str(error)) from error


def from_segmentation(segmentation: Rle | Sequence[Sequence[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) the mask of a COCO segmentation: run lengths, or polygons [x0, y0, x1, y1, ...], whose union is the mask.

    Raises LabelError for run lengths of another size, and for polygons of fewer than three points.

    >>> from_segmentation([[0, 0, 2, 0, 2, 1, 0, 1]], (2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    if isinstance(segmentation, dict):
        mask = from_rle(segmentation)
        if mask.shape != size:
            raise LabelError("run lengths", expected=f"the size of the image, {size}", received=mask.shape)
        return mask
    polygons = [list(map(float, polygon)) for polygon in segmentation]
    odd = next((polygon for polygon in polygons if len(polygon) < 6 or len(polygon) % 2), None)
    if odd is not None:
        raise LabelError("polygon", expected="x, y of three points or more", received=odd)
    if not polygons:
        return np.zeros(size, np.bool_)
    return coco.decode(coco.merge(coco.frPyObjects(polygons, *size))).view(np.bool_)  # type: ignore[no-any-return]
