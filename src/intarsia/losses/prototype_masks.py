"""The loss of YOLACT (Bolya et al. 2019, arXiv 1904.02689, section 3.2): class and box of each anchor, masks made of prototypes.

Deviations: hard examples of no object are chosen over the batch, so that an image without objects teaches too where others have
some; a mask's loss is the mean over the cells of its object's box and one more around, where the authors divide by the area of
the box, which may be less than a cell; where too many anchors are objects, masks are made of those that overlap best, where the
authors draw; void has no say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Queries
from intarsia.losses._anchors import NO_OBJECT, Objects, matched
from intarsia.losses._labels import at_least_float32
from intarsia.losses._options import AMOUNT, COUNT, SHARE, check

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["PrototypeMasks"]

MOVE, GROW = 0.1, 0.2
"""What a difference of 1 is: a tenth of an anchor's size aside, a fifth of the logarithm of it larger (SSD's variances)."""


class PrototypeMasks:
    """Cross-entropy of the classes, smooth L1 of the boxes, and binary cross-entropy of the masks, per anchor that is an object.

    An anchor that overlaps an object by `positive` or more is that object, as is each object's best one; below `negative` it is
    none, and of these the ones of the highest loss are trained, `hard` times as many as are objects. Anchors between the two are
    not trained, nor those of no object that lie in void and crowds for more than `crowded` of their area. `box_weight` and
    `mask_weight` weigh these parts beside the classes; up to `most` masks are made of each image. Raises OptionError for numbers
    out of range, InvalidNoun for outputs without boxes and priors, and for another number of classes.

    >>> from intarsia.core import Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[0]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    >>> said = Queries(torch.zeros(1, 1, 3), torch.ones(1, 1, 1), torch.zeros(1, 1, 2, 2), boxes=whole[None], priors=whole)
    >>> {name: round(float(value), 4) for name, value in PrototypeMasks()(said, targets).items()}  # log 3, 0, 6.125 log 2
    {'prototype_classes': 1.0986, 'prototype_boxes': 0.0, 'prototype_masks': 4.2455}
    """

    def __init__(
        self,
        weight: float = 1.0,
        box_weight: float = 1.5,
        mask_weight: float = 6.125,
        positive: float = 0.5,
        negative: float = 0.4,
        crowded: float = 0.7,
        hard: float = 3.0,
        most: int = 100,
    ) -> None:
        check("prototype_masks", box_weight=(box_weight, AMOUNT), mask_weight=(mask_weight, AMOUNT), hard=(hard, AMOUNT))
        check(
            "prototype_masks", positive=(positive, SHARE), negative=(negative, SHARE), crowded=(crowded, SHARE), most=(most, COUNT)
        )
        self.weight = weight
        self.box_weight = box_weight
        self.mask_weight = mask_weight
        self.shares = positive, negative, crowded
        self.hard = hard
        self.most = most

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalars of the classes, the boxes and the masks."""
        if not isinstance(output, Queries) or output.boxes is None or output.priors is None:
            raise InvalidNoun("prototype_masks", expected="Queries with boxes and priors", received=type(output).__name__)
        channels = targets.num_classes + 1
        if output.classes.shape[2] != channels:
            expected = f"(B, Q, {channels}), no object last"
            raise InvalidNoun("classes of prototype_masks", expected=expected, received=tuple(output.classes.shape))
        objects, priors = Objects.of(targets), output.priors.float()
        unproven = objects.unproven_share(priors)  # (B, Q)
        found = [matched(priors, *one, *self.shares) for one in zip(objects.boxes, objects.real, unproven, strict=True)]
        rows, overlaps = (torch.stack(part) for part in zip(*found, strict=True))  # (B, Q) each
        image, query = (rows >= 0).nonzero(as_tuple=True)  # (P,) each
        row = rows[image, query]
        boxes = objects.boxes[image, row]  # (P, 4)
        terms = {
            "classes": self._class_loss(output.classes, rows, image, query, targets.classes[image, row].long()),
            "boxes": self.box_weight * _box_loss(output.boxes[image, query], boxes, priors[query]),
            "masks": self.mask_weight * self._mask_loss(output, targets, overlaps, image, query, row, boxes),
        }
        return {f"prototype_{name}": self.weight * value for name, value in terms.items()}

    def _class_loss(self, logits: Tensor, rows: Tensor, image: Tensor, query: Tensor, wanted: Tensor) -> Tensor:
        """Of the objects and of the hardest anchors of no object, divided by the number of objects."""
        none = logits.shape[2] - 1
        absent = (rows == NO_OBJECT).nonzero(as_tuple=True)  # 2 of (M,)
        with torch.no_grad():
            doubt = -at_least_float32(logits[absent]).log_softmax(dim=1)[:, none]  # (M,)
            hardest = doubt.topk(min(len(doubt), int(self.hard * len(image))), sorted=False).indices
        chosen = torch.cat([image, absent[0][hardest]]), torch.cat([query, absent[1][hardest]])
        labels = torch.cat([wanted, torch.full_like(hardest, none)])
        total = cross_entropy(at_least_float32(logits[chosen]), labels, reduction="sum")
        return total / max(len(image), 1)

    def _mask_loss(
        self, output: Queries, targets: Targets, overlaps: Tensor, image: Tensor, query: Tensor, row: Tensor, boxes: Tensor
    ) -> Tensor:
        """The mean over the masks that are made."""
        losses = []
        for one, prototypes in enumerate(output.prototypes):
            ids = _sampled(targets.ids[one], prototypes.shape[1:])  # (L, *s)
            mine = (image == one).nonzero().flatten()
            mine = mine[overlaps[one, query[mine]].argsort(descending=True, stable=True)[: self.most]]
            coefficients = at_least_float32(output.coefficients[one, query[mine]])  # (P, K)
            maps = at_least_float32(prototypes).where(ids[0] >= 0, 0)  # (K, *s)
            logits = (coefficients @ maps.flatten(1)).view(-1, *maps.shape[1:])  # (P, *s)
            mask = (ids == row[mine, None, None, None] + 1).any(dim=1)  # (P, L, *s) -> (P, *s)
            shares = (_within(boxes[mine], ids.shape[1:]) & (ids[0] >= 0)).to(logits.dtype)  # (P, *s)
            entropy = binary_cross_entropy_with_logits(logits, mask.to(logits.dtype), reduction="none")
            losses.append((entropy * shares).sum(dim=(1, 2)) / shares.sum(dim=(1, 2)).clamp(min=1))  # (P,)
        every = torch.cat(losses)
        return every.sum() / max(len(every), 1)


def _box_loss(boxes: Tensor, truth: Tensor, priors: Tensor) -> Tensor:
    """Smooth L1 of (P, 4) boxes as moves from their anchors, summed over the four, the mean over the boxes."""
    total = smooth_l1_loss(_moves(at_least_float32(boxes), priors), _moves(truth, priors), reduction="sum")
    return total / max(len(boxes), 1)


def _moves(boxes: Tensor, priors: Tensor) -> Tensor:
    """(P, 4) how boxes differ from their anchors, in middle and size."""
    extents, anchors = boxes[:, 2:] - boxes[:, :2], priors[:, 2:] - priors[:, :2]  # (P, 2) each
    aside = (boxes[:, :2] + boxes[:, 2:] - priors[:, :2] - priors[:, 2:]) / 2 / anchors
    return torch.cat([aside / MOVE, (extents / anchors).log() / GROW], dim=1)


def _sampled(ids: Tensor, size: tuple[int, ...]) -> Tensor:
    """(L, *S) -> (L, *s), the ids of the pixels that the middles of the cells are in."""
    for axis, cells in enumerate(size, start=1):
        middles = (torch.arange(cells, device=ids.device) + 0.5) * (ids.shape[axis] / cells)
        ids = ids.index_select(axis, middles.long())
    return ids


def _within(boxes: Tensor, size: tuple[int, ...]) -> Tensor:
    """(P, *s) bool, the cells whose middles are at most one cell outside the boxes (P, 4), however these are rounded."""
    sides, near = [], 1.001
    for axis, cells in enumerate(size):
        middles = torch.arange(cells, device=boxes.device) + 0.5
        low, high = boxes[:, 1 - axis, None] * cells - near, boxes[:, 3 - axis, None] * cells + near  # (P, 1)
        sides.append((middles >= low) & (middles <= high))  # (P, cells)
    return sides[0][:, :, None] & sides[1][:, None]
