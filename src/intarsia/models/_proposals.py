"""The region proposal network (Ren et al. 2015, arXiv 1506.01497, section 3.1) on a pyramid: where some object may be.

Of torchvision's parts and with its settings; its own class knows no regions that are not to be trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers
from torchvision.ops import batched_nms, clip_boxes_to_image

from intarsia.models._objects import NOBODY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.models._objects import Objects

__all__ = ["Proposals", "best"]

OBJECT, NOTHING = 0.7, 0.3
"""An anchor that overlaps an object at least so much is the object's, one that overlaps none so much is nobody's."""
DUPLICATE = 0.7
"""Of two proposals of one level that overlap more, the weaker goes."""
LEAST = 1e-3
"""Pixels of the shorter edge of a proposal."""


def best(boxes: Tensor, scores: Tensor, groups: Tensor, *, least: float, extent: float, overlap: float, most: int) -> Tensor:
    """(N,) the places of those boxes (N, 4), best first and `most` at most, that score above `least`, have edges of `extent` and
    overlap no better one of their group by more than `overlap`.

    On the meta device, where nothing is computed, `most` of them: so the cost of a network is that of its fullest answer.
    """
    if boxes.is_meta:
        return torch.arange(min(most, len(boxes)), device=boxes.device)
    places = ((scores > least) & ((boxes[:, 2:] - boxes[:, :2]) >= extent).all(dim=1)).nonzero().flatten()
    return places[batched_nms(boxes[places], scores[places], groups[places], overlap)[:most]]


class Proposals(nn.Module):
    """Levels of `width` channels to boxes that may hold an object, at most `kept` an image and in training twice as many.

    Anchors of level i have sides of `scales` times `strides[i]` pixels, in the `ratios` of height to width. `samples` of them are
    trained on in each image, up to half of them objects.
    """

    def __init__(
        self,
        width: int,
        strides: Sequence[int],
        scales: Sequence[float],
        ratios: Sequence[float],
        *,
        layers: int,
        kept: int,
        samples: int,
    ) -> None:
        super().__init__()
        sizes = tuple(tuple(scale * stride for scale in scales) for stride in strides)
        self.anchors = AnchorGenerator(sizes, (tuple(ratios),) * len(sizes))
        self.head = RPNHead(width, len(scales) * len(ratios), layers)
        self.kept = kept
        self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        self.sampler = BalancedPositiveNegativeSampler(samples, 0.5)

    def forward(
        self, levels: list[Tensor], size: tuple[int, int], padded: tuple[int, int], objects: list[Objects] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Levels (B, width, *s) of images of `size` within a canvas `padded` -> for each image boxes (N, 4) in pixels, best first;
        with objects the losses too."""
        batch = len(levels[0])
        by_level = self.head(levels)
        counts = [len(one[0].flatten()) for one in by_level[0]]  # anchors of each level
        objectness, deltas = (one.float() for one in concat_box_prediction_layers(*by_level))  # (B A, 1), (B A, 4)
        like = objectness.new_zeros(())
        grids = [like.expand(level.shape[2:]) for level in levels]  # so that anchors are float32 whatever the levels are
        [anchors] = self.anchors(ImageList(like.expand(padded), [size]), grids)  # (A, 4)
        objectness = objectness.view(batch, -1)  # (B, A)
        boxes = self.coder.decode_single(deltas.detach(), anchors.repeat(batch, 1)).view(batch, -1, 4)  # (B, A, 4)
        found = [self._best(*one, counts, size) for one in zip(boxes, objectness.detach(), strict=True)]
        return found, {} if objects is None else self._losses(objectness, deltas.view(batch, -1, 4), anchors, objects)

    def _best(self, boxes: Tensor, objectness: Tensor, counts: list[int], size: tuple[int, int]) -> Tensor:
        """(N, 4) of the boxes (A, 4) of one image, by their objectness (A,): the best of each level that are no duplicates."""
        kept = 2 * self.kept if self.training else self.kept
        by_level = zip(torch.split(objectness, counts), torch.split(boxes, counts), strict=True)
        chosen = [(scores.topk(min(kept, len(scores))), places) for scores, places in by_level]
        likely = torch.cat([top.values for top, _ in chosen]).sigmoid()  # (N,)
        found: Tensor = clip_boxes_to_image(torch.cat([places[top.indices] for top, places in chosen]), size)  # (N, 4)
        levels = torch.cat([torch.full_like(top.indices, level) for level, (top, _) in enumerate(chosen)])  # (N,)
        return found[best(found, likely, levels, least=-1.0, extent=LEAST, overlap=DUPLICATE, most=kept)]

    def _losses(self, objectness: Tensor, deltas: Tensor, anchors: Tensor, objects: list[Objects]) -> dict[str, Tensor]:
        """Of a sample of the anchors (A, 4): is it an object (B, A), and how far from its box (B, A, 4)."""
        owners = torch.stack([one.owners(anchors, OBJECT, NOTHING, each=True) for one in objects])  # (B, A)
        labels = torch.where(owners >= 0, 1, torch.where(owners == NOBODY, 0, -1))  # as the sampler counts
        positive, negative = (torch.stack(one).bool() for one in self.sampler(list(labels)))  # (B, A) each
        sampled = positive | negative
        count = sampled.sum().clamp(min=1)
        wanted = [
            self.coder.encode_single(one.boxes[owner[mine]], anchors[mine])  # (N, 4)
            for one, owner, mine in zip(objects, owners, positive, strict=True)
        ]
        found = binary_cross_entropy_with_logits(objectness[sampled], positive[sampled].to(objectness), reduction="sum")
        moved = smooth_l1_loss(deltas[positive], torch.cat(wanted), beta=1 / 9, reduction="sum")
        return {"objectness": found / count, "proposal": moved / count}
