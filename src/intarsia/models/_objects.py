"""The objects of a batch of truth, as networks that speak in regions are trained on them: boxes, classes, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torchvision.ops import box_iou, roi_align

from intarsia.ops.summed_area import share_within, summed_area

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
    """(H + 1, W + 1) the `summed_area` of what is unknown or of a crowd; None where nothing is."""

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
            owner[(owner == NOBODY) & (2 * share_within(self.untrained, boxes) > 1)] = UNTRAINED
        return owner

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
    ids, boxes = targets.ids, targets.boxes()  # (B, N, 4)
    wanted = targets.objects()  # (B, N)
    if things is not None:
        wanted = wanted & torch.isin(targets.classes, targets.classes.new_tensor([*things]))
    unknown, untrained = ids[:, 0] < 0, targets.unproven()  # (B, H, W) each
    if valid is not None:
        unknown, untrained = unknown | ~valid, untrained | ~valid
    rows = torch.arange(1, wanted.shape[1] + 1, device=ids.device)
    made = []
    for image, keep in enumerate(wanted):
        doubt = untrained[image].any()
        made.append(
            Objects(
                boxes[image, keep],
                targets.classes[image, keep].long(),
                rows[keep],
                ids[image],
                unknown[image] if doubt and unknown[image].any() else None,
                summed_area(untrained[image]) if doubt else None,
            )
        )
    return made


def _aligned(masks: Tensor, boxes: Tensor, places: Tensor, side: int) -> Tensor:
    """(N, side, side): for each box (N, 4) the mask, of (n, 1, H, W), that `places` (N,) says, by RoIAlign."""
    regions = torch.cat([places[:, None].to(boxes), boxes], dim=1)  # (N, 5)
    aligned: Tensor = roi_align(masks.to(boxes), regions, (side, side), 1.0, aligned=ALIGNED)
    return aligned[:, 0]  # (N, 1, side, side) -> (N, side, side)
