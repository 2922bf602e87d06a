"""Which anchors are which objects: what the loss of a network with anchors is taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torchvision.ops import box_iou

from intarsia.core.errors import InvalidNoun
from intarsia.ops.summed_area import share_within, summed_area

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
    """(B, H + 1, W + 1) the `summed_area` of void and crowds."""

    @classmethod
    def of(cls, targets: Targets) -> Objects:
        """Of a batch of truth. Raises InvalidNoun for volumes."""
        if targets.ids.ndim != 4:
            raise InvalidNoun("Targets", expected="ids (B, L, H, W), because anchors are flat", received=tuple(targets.ids.shape))
        boxes = targets.boxes()  # (B, N, 4) in pixels
        unproven = targets.view("unproven area", lambda: summed_area(targets.unproven()))
        return cls(boxes / _extent(unproven, boxes), targets.objects(), unproven)

    def unproven_share(self, priors: Tensor) -> Tensor:
        """(B, Q) the share of each anchor (Q, 4), as far as it lies within the image, that is void or of a crowd."""
        return share_within(self.unproven, priors * _extent(self.unproven, priors))


def _extent(table: Tensor, like: Tensor) -> Tensor:
    """(4,) the pixels that the whole image has, along the axes of boxes."""
    height, width = (length - 1 for length in table.shape[1:])
    return like.new_tensor([width, height, width, height])


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
    most, best = overlaps.max(dim=1, keepdim=True)  # (N, 1) each
    best = torch.zeros_like(overlaps).scatter_(1, best, 2 * (most > 0).to(overlaps))  # one that touches no anchor has none
    values, rows = (overlaps + best).where(real[:, None], -1.0).max(dim=0)  # (Q,); of an object's best anchor 2 to 3
    doubtful = (values >= negative) | (unproven > crowded)
    rows = rows.where(values >= positive, torch.where(doubtful, NEUTRAL, NO_OBJECT))
    return rows, overlaps.max(dim=0).values
