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
        lengths = _lengths(counts) if isinstance(counts, str | bytes) else np.asarray(counts, dtype=np.int64)
        if lengths.min(initial=0) < 0 or lengths.sum() != height * width:
            raise ValueError(f"counts that add up to {lengths.sum()}, in an image of {height * width} pixels")
        inside = np.arange(len(lengths)) % 2 == 1
        return np.repeat(inside, lengths).reshape(width, height).T  # (W, H) -> (H, W)
    except (KeyError, TypeError, ValueError) as error:
        raise LabelError("run lengths", expected="size (height, width) and counts that fill it", received=str(error)) from error


def _lengths(text: str | bytes) -> NDArray[np.int64]:
    """COCO's text to run lengths, because pycocotools takes any text for some: groups of five bits, the lowest first, a sixth bit
    that says whether more follow, each length from the fourth on as the difference to the one but one before.

    >>> _lengths("22").tolist(), _lengths("5X1346").tolist()
    ([2, 2], [5, 40, 3, 44, 9])
    """
    raw = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    if not len(raw):
        return raw
    if raw.min() < 0 or raw.max() > 63 or raw[-1] & 32:
        raise ValueError(f"text that is none of COCO's, {text[:20]!r}")
    ends = np.flatnonzero(raw & 32 == 0)
    starts = np.r_[0, ends[:-1] + 1]
    place = np.arange(len(raw)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 11:
        raise ValueError(f"a length of more than 60 bits, in {text[:20]!r}")
    values: NDArray[np.int64] = np.add.reduceat((raw & 31) << 5 * place, starts)
    values -= (raw[ends] & 16 != 0) * (1 << 5 * (place[ends] + 1))  # the last group's highest bit is the sign
    values[1::2], values[2::2] = values[1::2].cumsum(), values[2::2].cumsum()
    return values


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
