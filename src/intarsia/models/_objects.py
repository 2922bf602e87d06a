"""The objects of a batch of truth, as networks that speak in regions are trained on them: boxes, classes, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torchvision.ops import box_iou, roi_align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets

__all__ = ["NOBODY", "UNTRAINED", "Objects", "objects_of"]

NOBODY, UNTRAINED = -1, -2
"""Whose a box is, where it is no object's: a proof of nothing, or no proof of anything."""
ALIGNED = True
"""Whether a crop's cells lie where they are; torchvision's, and the paper's, lie half a pixel further, which costs small objects
dear: the best answer for one of 6 to 10 pixels overlaps it by 0.8, for one of 25 to 45 by 0.96."""
MOST = 2**22
"""Numbers that are made at a time, of masks and of overlaps: 16 MiB as float32, however many objects there are."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Those of one image. Rows that are crowds or have no pixel are left out."""

    boxes: Tensor
    """(N, 4) float32 (x0, y0, x1, y1) in pixels."""
    classes: Tensor
    """(N,) int64."""
    rows: Tensor
    """(N,) the ids of their pixels."""
    ids: Tensor
    """(L, H, W) as in Segments."""
    unknown: Tensor | None
    """(H, W) bool, the pixels that are void or not valid; None where there are none."""
    untrained: Tensor | None
    """(H + 1, W + 1) how many pixels up to here, from the corner, are unknown or of a crowd; None where there are none."""

    def owners(self, boxes: Tensor, high: float, low: float, *, each: bool = False) -> Tensor:
        """(N,) int64, for each of boxes (N, 4) the object it overlaps most, where the intersection over union is at least `high`.

        With `each`, every object also gets the boxes that overlap it most, however little. Below `low` a box is NOBODY's, in
        between UNTRAINED, as is one that is nobody's and lies for more than half in crowd, void or invalid pixels.
        """
        best, owner = boxes.new_zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        forced = torch.zeros_like(owner, dtype=torch.bool)
        step = max(1, MOST // max(1, len(boxes)))
        for start in range(0, len(self.boxes), step):
            overlaps = box_iou(self.boxes[start : start + step], boxes)  # (n, N)
            value, row = overlaps.max(dim=0)  # (N,) each
            owner = torch.where(value > best, row + start, owner)
            best = torch.maximum(value, best)
            if each:
                peak = overlaps.amax(dim=1, keepdim=True)  # (n, 1)
                forced |= ((overlaps == peak) & (peak > 0)).any(dim=0)
        owner[(best < high) & ~forced] = UNTRAINED
        owner[(best < low) & ~forced] = NOBODY
        if self.untrained is not None:
            owner[(owner == NOBODY) & (2 * self._untrained(boxes) > 1)] = UNTRAINED
        return owner

    def _untrained(self, boxes: Tensor) -> Tensor:
        """(N,) the share of each of boxes (N, 4), as far as it lies in the image, that is unknown or of a crowd."""
        assert self.untrained is not None
        table, (height, width) = self.untrained, (length - 1 for length in self.untrained.shape)
        x0, x1 = (boxes[:, axis].round().long().clamp(0, width) for axis in (0, 2))  # (N,) each
        y0, y1 = (boxes[:, axis].round().long().clamp(0, height) for axis in (1, 3))
        pixels = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]  # (N,)
        return pixels / ((y1 - y0) * (x1 - x0)).clamp(min=1)

    def crops(self, boxes: Tensor, matched: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """The masks of objects `matched` (N,) within boxes (N, 4), averaged to side x side cells: the share of a cell that is the
        object's, and the share that is known at all, (N, side, side) float32 each."""
        rows, places = torch.unique(self.rows[matched], return_inverse=True)  # (n,), (N,)
        step = max(1, MOST // self.ids[0].numel())
        shares = boxes.new_zeros((len(boxes), side, side))
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step].to(self.ids.dtype).view(-1, 1, 1, 1)
            masks = (self.ids == chosen).any(dim=1, keepdim=True)  # (n, L, H, W) -> (n, 1, H, W)
            if self.unknown is not None:
                masks &= ~self.unknown
            here = ((places >= start) & (places < start + step)).nonzero().flatten()
            shares[here] = _aligned(masks, boxes[here], places[here] - start, side)
        if self.unknown is None:
            return shares, torch.ones_like(shares)
        return shares, 1 - _aligned(self.unknown[None, None], boxes, torch.zeros_like(matched), side)


def objects_of(targets: Targets, valid: Tensor | None = None, things: Sequence[int] | None = None) -> list[Objects]:
    """Of each image those of the classes `things`, by default of all; pixels that are not `valid` (B, H, W) are as void."""
    ids, (height, width) = targets.ids, targets.ids.shape[2:]
    boxes = _boxes(ids.long(), targets.classes.shape[1])  # (B, N, 4)
    wanted = (targets.classes >= 0) & ~targets.crowd & (boxes[..., 2] > boxes[..., 0])  # (B, N)
    if things is not None:
        wanted &= torch.isin(targets.classes, targets.classes.new_tensor([*things]))
    unknown = ids[:, 0] < 0 if valid is None else (ids[:, 0] < 0) | ~valid  # (B, H, W)
    untrained = unknown
    if targets.crowd.any():
        crowd = torch.nn.functional.pad(targets.crowd, (1, 0))  # (B, N + 1), id 0 is none
        entries = ids.long().clamp(min=0).flatten(1)  # (B, L H W)
        untrained = unknown | crowd.gather(1, entries).view(ids.shape).any(dim=1)  # (B, L, H, W) -> (B, H, W)
    rows = torch.arange(1, wanted.shape[1] + 1, device=ids.device)
    made = []
    for image, keep in enumerate(wanted):
        doubt = untrained[image].any()
        table = untrained.new_zeros((height + 1, width + 1), dtype=torch.int64) if doubt else None
        if table is not None:
            table[1:, 1:] = untrained[image].cumsum(0).cumsum(1)
        made.append(
            Objects(
                boxes[image, keep],
                targets.classes[image, keep].long(),
                rows[keep],
                ids[image],
                unknown[image] if doubt and unknown[image].any() else None,
                table,
            )
        )
    return made


def _boxes(ids: Tensor, rows: int) -> Tensor:
    """(B, N, 4) float32, the tight boxes of the pixels of each row in ids (B, L, H, W); zeros for a row without pixels.

    By one pass over the ids, as a mask for each of a thousand objects would take gigabytes.
    """
    batch, height, width = len(ids), *ids.shape[2:]
    entries = ids.clamp(min=0).flatten(1)  # (B, L H W); 0 collects what is no row's
    axes = []
    for axis, length in ((-1, width), (-2, height)):
        steps = torch.arange(length, device=ids.device)
        places = (steps if axis == -1 else steps[:, None]).expand(ids.shape).flatten(1)  # (B, L H W)
        low = ids.new_full((batch, rows + 1), length).scatter_reduce(1, entries, places, "amin")  # (B, N + 1)
        high = ids.new_zeros((batch, rows + 1)).scatter_reduce(1, entries, places + 1, "amax")
        axes.append((low, high))
    (x0, x1), (y0, y1) = axes
    boxes = torch.stack([x0, y0, x1, y1], dim=2)[:, 1:]  # (B, N, 4)
    return (boxes * (boxes[..., 2:3] > 0)).float()


def _aligned(masks: Tensor, boxes: Tensor, places: Tensor, side: int) -> Tensor:
    """(N, side, side): for each box (N, 4) the mask, of (n, 1, H, W), that `places` (N,) says, by RoIAlign."""
    regions = torch.cat([places[:, None].to(boxes), boxes], dim=1)  # (N, 5)
    aligned: Tensor = roi_align(masks.to(boxes), regions, (side, side), 1.0, aligned=ALIGNED)
    return aligned[:, 0]  # (N, 1, side, side) -> (N, side, side)
