"""Panoptic FPN (Kirillov et al. 2019, arXiv 1901.02446): Mask R-CNN for things and a light head for stuff on one feature pyramid.

The paper's head for stuff has one class for all things; this one says every class and nothing, so that its answer is whole. Where a
side is no multiple of 4 pixels the last cell of that head reaches beyond the image, in training and decoding alike, where
detectron2's decoding cuts it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from intarsia.core.output import Dense
from intarsia.models.blocks.semantic_fpn_head import SemanticFPNHead
from intarsia.models.mask_rcnn import MaskRCNN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Regions
    from intarsia.core.pixels import Pixels

__all__ = ["PanopticFPN"]


class PanopticFPN(MaskRCNN):
    """Images (B, in_channels, H, W) of any dtype and size to `Regions` with `semantic` logits (B, channels, *s), s = S / 4 on most
    encoders; in training the losses of the regions in place of what is found.

    `things` are the indices of the countable classes, by default all: only they are regions. `semantic_width` is that of the head
    for stuff, 128 in the paper. All other arguments, and what is raised, are those of `MaskRCNN`.

    >>> import torch
    >>> net = PanopticFPN.tiny(channels=5).eval()
    >>> answer = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> len(answer.boxes), tuple(answer.semantic.logits.shape)
    (2, (2, 5, 9, 13))
    """

    tasks: ClassVar[tuple[str, ...]] = ("panoptic", "instance", "semantic")
    losses: ClassVar[dict[str, float]] = {"regions": 1.0, "cross_entropy": 0.5}
    origin: ClassVar[str] = "Kirillov et al. 2019, arXiv 1901.02446"

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        things: Sequence[int] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        width: int = 256,
        semantic_width: int = 128,
        scales: Sequence[float] = (8.0,),
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        proposal_layers: int = 1,
        proposals: int = 1000,
        anchor_samples: int = 256,
        region_samples: int = 512,
        box_width: int = 1024,
        box_layers: int = 0,
        mask_width: int = 256,
        mask_layers: int = 4,
        norm: bool = False,
        score: float = 0.05,
        overlap: float = 0.5,
        detections: int = 100,
    ) -> None:
        super().__init__(
            channels,
            in_channels,
            pixels=pixels,
            encoder=encoder,
            weights=weights,
            width=width,
            scales=scales,
            ratios=ratios,
            proposal_layers=proposal_layers,
            proposals=proposals,
            anchor_samples=anchor_samples,
            region_samples=region_samples,
            box_width=box_width,
            box_layers=box_layers,
            mask_width=mask_width,
            mask_layers=mask_layers,
            norm=norm,
            score=score,
            overlap=overlap,
            detections=detections,
        )
        self.things = None if things is None else tuple(things)
        self.semantic = SemanticFPNHead(width, self.strides, channels, semantic_width)
        self.arguments |= {"things": None if things is None else list(things), "semantic_width": semantic_width}

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, semantic_width=16, **cls.TINY)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Regions:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to what is found, or losses, and logits."""
        levels = self.levels(images, valid, stats)
        canvas = self.semantic(levels[:-1])  # (B, channels, *s of the canvas)
        height, width = (-(-length // self.stride) for length in images.shape[2:])
        return replace(self.found(levels, images, valid, targets), semantic=Dense(canvas[..., :height, :width]))
