"""Which anchors are which objects: what the loss of a network with anchors is taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torchvision.ops import box_iou

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets

__all__ = ["NEUTRAL", "NO_OBJECT", "Objects", "matched"]

NO_OBJECT, NEUTRAL = -1, -2


@dataclass(frozen=True, eq=False)
class Objects:
    """The rows of Targets as objects."""

    boxes: Tensor
    """(B, N, 4) (x0, y0, x1, y1) in shares of the image; anything for a row without pixels."""
    real: Tensor
    """(B, N) bool: has pixels and is no crowd."""
    unproven: Tensor
    """(B, H + 1, W + 1) how many pixels of void and of crowds are above and left of each corner."""

    @classmethod
    def of(cls, targets: Targets) -> Objects:
        """Of a batch of truth."""
        height, width = targets.ids.shape[2:]
        edges = targets.view("edges", lambda: _edges(targets))  # (B, N, 4) in pixels
        real = (targets.classes >= 0) & ~targets.crowd & (edges[..., 2] > 0)
        boxes = edges / edges.new_tensor([width, height, width, height])
        return cls(boxes, real, targets.view("unproven", lambda: _unproven(targets)))

    def unproven_share(self, priors: Tensor) -> Tensor:
        """(B, Q) the share of each anchor (Q, 4), as far as it lies within the image, that is void or of a crowd."""
        height, width = (length - 1 for length in self.unproven.shape[1:])
        x0, x1 = ((priors[:, axis] * width).round().long().clamp(0, width) for axis in (0, 2))  # (Q,) each
        y0, y1 = ((priors[:, axis] * height).round().long().clamp(0, height) for axis in (1, 3))
        table = self.unproven
        pixels = table[:, y1, x1] - table[:, y0, x1] - table[:, y1, x0] + table[:, y0, x0]  # (B, Q)
        return pixels / ((x1 - x0) * (y1 - y0)).clamp(min=1)


def matched(
    priors: Tensor, boxes: Tensor, real: Tensor, unproven: Tensor, positive: float, negative: float, crowded: float
) -> tuple[Tensor, Tensor]:
    """Of one image (Q,) the object of each anchor, or NO_OBJECT or NEUTRAL, and (Q,) how well it overlaps it.

    `priors` (Q, 4), `boxes` (N, 4) of which those `real` (N,) count, `unproven` (Q,). An anchor is the object that it overlaps
    best, from `positive` on, and every object has the anchor that overlaps it best, of several objects with one such the best. It
    is no object below `negative`, unless more than `crowded` of it is unproven, and neutral between.

    >>> priors = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.3, 0.0, 0.8, 1.0], [0.9, 0.0, 1.0, 1.0], [0.8, 0.0, 0.9, 1.0]])
    >>> boxes, unproven = torch.tensor([[0.0, 0.0, 0.6, 1.0]]), torch.tensor([0.0, 0.0, 0.0, 1.0])
    >>> matched(priors, boxes, torch.tensor([True]), unproven, 0.5, 0.4, 0.7)[0].tolist()
    [0, -1, -1, -2]
    """
    if not len(boxes):
        boxes, real = boxes.new_zeros(1, 4), real.new_zeros(1)
    overlaps = box_iou(boxes, priors).where(real[:, None], -1.0)  # (N, Q)
    best = torch.zeros_like(overlaps).scatter_(1, overlaps.argmax(dim=1, keepdim=True), 2.0)
    values, rows = (overlaps + best).where(real[:, None], -1.0).max(dim=0)  # (Q,); of an object's best anchor 2 to 3
    doubtful = (values >= negative) | (unproven > crowded)
    rows = rows.where(values >= positive, torch.where(doubtful, NEUTRAL, NO_OBJECT))
    return rows, overlaps.max(dim=0).values


def _edges(targets: Targets) -> Tensor:
    """(B, N, 4) float32, the tight boxes of the rows in pixels; zeros for a row without pixels.

    By one pass over the ids: a mask for each of many objects would take gigabytes.
    """
    ids, (batch, rows) = targets.ids, targets.classes.shape
    entries = ids.long().clamp(min=0).flatten(1)  # (B, L H W); 0 collects what is no row's
    sides = []
    for axis in (3, 2):
        length = ids.shape[axis]
        steps = torch.arange(length, device=ids.device)
        places = (steps if axis == 3 else steps[:, None]).expand(ids.shape).flatten(1)  # (B, L H W)
        low = entries.new_full((batch, rows + 1), length).scatter_reduce_(1, entries, places, "amin")
        high = entries.new_zeros((batch, rows + 1)).scatter_reduce_(1, entries, places + 1, "amax")
        sides.append((low, high))
    (x0, x1), (y0, y1) = sides
    edges = torch.stack([x0, y0, x1, y1], dim=2)[:, 1:]  # (B, N, 4)
    return (edges * (x1 > 0)[:, 1:, None]).float()


def _unproven(targets: Targets) -> Tensor:
    """(B, H + 1, W + 1)."""
    ids, batch = targets.ids, len(targets.ids)
    crowd = torch.nn.functional.pad(targets.crowd, (1, 0))  # (B, N + 1), id 0 is none
    flags = crowd.gather(1, ids.long().clamp(min=0).flatten(1)).view(ids.shape).any(dim=1) | (ids[:, 0] < 0)  # (B, H, W)
    table = ids.new_zeros((batch, ids.shape[2] + 1, ids.shape[3] + 1), dtype=torch.long)
    table[:, 1:, 1:] = flags.long().cumsum(1).cumsum(2)
    return table
