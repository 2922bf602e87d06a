"""The two heads of Mask R-CNN (He et al. 2017, arXiv 1703.06870, figure 4, right): class and box of each region, then its mask.

Of torchvision's parts and with its settings; its own class puts background first, ours nothing last, and knows no void.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, cross_entropy, linear, smooth_l1_loss
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.ops import MultiScaleRoIAlign, clip_boxes_to_image

from intarsia.core.output import Regions
from intarsia.models._objects import NOBODY
from intarsia.models._proposals import best
from intarsia.models.blocks.scarce_norm import ScarceNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.models._objects import Objects

__all__ = ["BoxHead", "MaskHead", "RegionHeads"]

OBJECT = 0.5
"""A proposal that overlaps an object at least so much is the object's, any other is nobody's."""
POSITIVE = 0.25
"""The largest share of objects among the regions that are trained on."""
LEAST = 1e-2
"""Pixels of the shorter edge of an answer."""
BOX_SIDE, MASK_SIDE = 7, 14
"""Cells of a region's features, along each edge; its mask has twice as many."""


class BoxHead(nn.Module):
    """Features (N, width, 7, 7) to scores (N, channels) and, for each class, a box relative to the region (N, channels, 4).

    Two linear layers of `hidden`, or `layers` convolutions and one linear layer; with `norm`, batch norm behind the convolutions.
    The rows of `classify` go by class, nothing the last, so that other classes can be carried over by name.
    """

    def __init__(self, width: int, channels: int, hidden: int, layers: int, *, norm: bool) -> None:
        super().__init__()
        self.body = (
            FastRCNNConvFCHead((width, BOX_SIDE, BOX_SIDE), [width] * layers, [hidden], ScarceNorm if norm else None)
            if layers
            else TwoMLPHead(width * BOX_SIDE**2, hidden)
        )
        self.nothing = channels - 1
        self.classify = nn.ModuleDict({"scores": nn.Linear(hidden, channels), "boxes": _Boxes(hidden, channels)})

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width, 7, 7) -> (N, channels) and (N, channels, 4), float32."""
        hidden = self.body(features)  # (N, hidden)
        return self.classify["scores"](hidden).float(), self.classify["boxes"](hidden).float()


class _Boxes(nn.Module):
    """(N, hidden) -> (N, channels, 4): a linear layer with an axis for the class."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        bound = 1 / sqrt(hidden)  # as torch begins linear layers
        self.weight = nn.Parameter(torch.empty(channels, 4, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels, 4).uniform_(-bound, bound))

    def forward(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.weight.flatten(0, 1), self.bias.flatten()).view(-1, *self.bias.shape)  # (N, channels, 4)


class MaskHead(nn.Module):
    """Features (N, in_channels, 14, 14) and a class for each (N,) to the logits of the mask of that class (N, 28, 28).

    `layers` convolutions of `width` and one that doubles the size.
    """

    def __init__(self, in_channels: int, channels: int, width: int, layers: int, *, norm: bool) -> None:
        super().__init__()
        self.body = MaskRCNNHeads(in_channels, [width] * layers, 1, ScarceNorm if norm else None)
        self.enlarge = nn.ConvTranspose2d(width if layers else in_channels, width, 2, 2)
        self.classify = _Mask(width, channels)
        nn.init.kaiming_normal_(self.enlarge.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        """(N, in_channels, 14, 14) -> (N, 28, 28), float32."""
        wide = self.enlarge(self.body(features)).relu_()  # (N, width, 28, 28)
        return self.classify(wide, classes).float()  # type: ignore[no-any-return]


class _Mask(nn.Module):
    """(N, width, *s) and classes (N,) -> (N, *s): a 1x1 convolution to all channels, of which each region asks for one."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, width) * sqrt(2 / channels))  # as torchvision begins, by the outputs
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-1 / sqrt(width), 1 / sqrt(width)))

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        logits = conv2d(features, self.weight[:, :, None, None], self.bias)  # (N, channels, *s)
        return logits[torch.arange(len(classes), device=classes.device), classes]  # (N, *s)


class RegionHeads(nn.Module):
    """Proposals and the levels of a pyramid to `Regions`; with objects to the losses of class, box and mask.

    `samples` proposals are trained on in each image. Answers are those of a score above `score`; of two of one class that overlap
    more than `overlap` the weaker goes, and the best `most` of an image stay.
    """

    def __init__(self, box: BoxHead, mask: MaskHead, levels: int, *, samples: int, score: float, overlap: float, most: int) -> None:
        super().__init__()
        self.names = [str(level) for level in range(levels)]
        self.box_features = MultiScaleRoIAlign(self.names, BOX_SIDE, 2)
        self.mask_features = MultiScaleRoIAlign(self.names, MASK_SIDE, 2)
        self.box, self.mask = box, mask
        self.coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        self.sampler = BalancedPositiveNegativeSampler(samples, POSITIVE)
        self.score, self.overlap, self.most = score, overlap, most

    def forward(self, levels: Sequence[Tensor], proposals: list[Tensor], size: tuple[int, int], padded: tuple[int, int]) -> Regions:
        """Levels (B, width, *s) and for each image boxes (N, 4) in pixels -> what is found, boxes as shares of `size`."""
        scores, deltas = self.box(self._pooled(self.box_features, levels, proposals, padded))  # (N, C), (N, C, 4) of all images
        counts = [len(one) for one in proposals]
        moved = self.coder.decode(deltas.flatten(1), proposals).view(deltas.shape)  # (N, C, 4)
        images = zip(scores.softmax(dim=1).split(counts), moved.split(counts), strict=True)
        boxes, classes, sure = zip(*(self._best(*image, size) for image in images), strict=True)
        logits = self.mask(
            self._pooled(self.mask_features, levels, list(boxes), padded), torch.cat(classes)
        )  # (N, m, m) of all images
        edges = boxes[0].new_tensor([size[1], size[0]] * 2)
        return Regions(
            boxes=tuple(one / edges for one in boxes),
            classes=classes,
            scores=sure,
            masks=logits.sigmoid().split([len(one) for one in boxes]),
        )

    def _best(self, scores: Tensor, boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (N, 4) in pixels, classes and scores (N,) of one image, best first; a proposal may answer for several classes."""
        boxes = clip_boxes_to_image(boxes[:, :-1].flatten(0, 1), size)  # (N C, 4)
        classes = torch.arange(self.box.nothing, device=scores.device).repeat(len(scores))  # (N C,)
        scores = scores[:, :-1].flatten()
        keep = best(boxes, scores, classes, least=self.score, extent=LEAST, overlap=self.overlap, most=self.most)
        return boxes[keep], classes[keep], scores[keep]

    def _pooled(self, pool: MultiScaleRoIAlign, levels: Sequence[Tensor], boxes: list[Tensor], padded: tuple[int, int]) -> Tensor:
        """(N, width, m, m), the features of boxes (N, 4) of each image, each from the level of its size."""
        if levels[0].is_meta:  # where it cannot be told which level that is
            return levels[0].new_empty(sum(map(len, boxes)), levels[0].shape[1], *pool.output_size)
        return pool(dict(zip(self.names, levels, strict=False)), boxes, [padded] * len(boxes))  # type: ignore[no-any-return]

    def losses(
        self, levels: Sequence[Tensor], proposals: list[Tensor], padded: tuple[int, int], objects: list[Objects]
    ) -> dict[str, Tensor]:
        """Of a sample of the proposals and of the objects' own boxes."""
        samples = [self._sampled(*image) for image in zip(proposals, objects, strict=True)]
        regions, matched, labels = ([sample[part] for sample in samples] for part in range(3))
        scores, deltas = self.box(self._pooled(self.box_features, levels, regions, padded))  # (N, C), (N, C, 4) of all images
        classes = torch.cat(labels)  # (N,), the last channel for nothing
        count = max(1, len(classes))
        found = classes < self.box.nothing
        mine = [label < self.box.nothing for label in labels]
        homes = [region[own] for region, own in zip(regions, mine, strict=True)]
        owners = [match[own] for match, own in zip(matched, mine, strict=True)]
        wanted = torch.cat([one.boxes[owner] for one, owner in zip(objects, owners, strict=True)])  # (N, 4)
        aims = self.coder.encode_single(wanted, torch.cat(homes))  # (N, 4)
        masks = self.mask(self._pooled(self.mask_features, levels, homes, padded), classes[found])  # (N, m, m)
        return {
            "class": cross_entropy(scores, classes, reduction="sum") / count,
            "box": smooth_l1_loss(deltas[found, classes[found]], aims, beta=1 / 9, reduction="sum") / count,
            "mask": _mask_loss(masks, homes, owners, objects),
        }

    def _sampled(self, proposals: Tensor, objects: Objects) -> tuple[Tensor, Tensor, Tensor]:
        """Regions (N, 4) to train on, the object of each (N,) and its class (N,), the last channel for nothing."""
        boxes = torch.cat([proposals, objects.boxes])  # (N, 4)
        owners = objects.owners(boxes, OBJECT, OBJECT)  # (N,)
        labels = torch.full_like(owners, self.box.nothing)
        labels[owners >= 0] = objects.classes[owners[owners >= 0]]
        positive, negative = self.sampler([torch.where(owners >= 0, 1, torch.where(owners == NOBODY, 0, -1))])
        chosen = (positive[0] | negative[0]).bool()
        return boxes[chosen], owners[chosen], labels[chosen]


def _mask_loss(logits: Tensor, homes: list[Tensor], owners: list[Tensor], objects: list[Objects]) -> Tensor:
    """The binary cross-entropy of (N, m, m), averaged over what is known: a cell's void part counts for nothing."""
    crops = [one.crops(home, owner, logits.shape[1]) for one, home, owner in zip(objects, homes, owners, strict=True)]
    shares, known = (torch.cat(parts) for parts in zip(*crops, strict=True))  # (N, m, m) each
    wanted = shares / known.clamp(min=1e-6)
    return binary_cross_entropy_with_logits(logits, wanted, known, reduction="sum") / known.sum().clamp(min=1)
