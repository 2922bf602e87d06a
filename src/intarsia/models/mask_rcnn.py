"""Mask R-CNN (He et al. 2017, arXiv 1703.06870) on a feature pyramid: boxes that may hold an object, then class, box and mask.

Of torchvision's parts and with its settings: with equal weights it gives the same detections and, but for the half pixel that
`_objects.ALIGNED` tells of, the same losses (tests/test_models_mask_rcnn.py). Images are not resized within.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn
from torch.nn.functional import pad

from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.core.output import Regions
from intarsia.models._objects import objects_of
from intarsia.models._proposals import Proposals
from intarsia.models._region_heads import BoxHead, MaskHead, RegionHeads
from intarsia.models.blocks.feature_pyramid import FeaturePyramid
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["MaskRCNN"]

FINEST = 4
"""The stride of the finest level that the pyramid takes."""


class MaskRCNN(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Regions`: in training its losses, else what is found.

    `channels` are the classes and, last, no object. `encoder` is any that gives levels of stride 4 and coarser; `weights` is
    "none", "timm" or the path of a local .safetensors or .pth file. `width` is the pyramid's, `box_width` that of the linear
    layers, `mask_width` and `mask_layers` those of the mask's convolutions. Anchors are `scales` times the stride of their level
    large, with `ratios` of height to width. `proposals` go on to the heads, twice as many in training; of each image
    `anchor_samples` anchors and `region_samples` proposals are trained on, of these up to a quarter objects, whose masks cost
    most. Answers score more than `score`, overlap no better one of their class by more than `overlap`, `detections` at most.
    `proposal_layers`, `box_layers` and `norm` make torchvision's second version: 2, 4 and True. `pixels` defaults to the scaling
    that the encoder's weights expect.

    Raises OptionError for an unknown encoder or one without a level of stride 4 or more, CheckpointError for weights that do not
    fit, InvalidNoun where it is to train without targets.

    >>> import torch
    >>> net = MaskRCNN.tiny(channels=5).eval()
    >>> found = net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8))
    >>> len(found.boxes), found.boxes[0].shape[1:], found.masks[0].shape[1:]
    (2, torch.Size([4]), torch.Size([28, 28]))
    """

    tasks: ClassVar[tuple[str, ...]] = ("instance",)
    losses: ClassVar[dict[str, float]] = {"regions": 1.0}
    origin: ClassVar[str] = "He et al. 2017, arXiv 1703.06870"
    exports: ClassVar[tuple[str, ...]] = ()
    TINY: ClassVar[dict[str, Any]] = {
        "encoder": "test_efficientnet",
        "width": 16,
        "scales": (4.0,),
        "proposals": 50,
        "region_samples": 64,
        "box_width": 32,
        "mask_width": 16,
        "mask_layers": 1,
        "norm": True,
    }
    """The arguments of `tiny`."""

    things: tuple[int, ...] | None = None
    """The classes that regions are trained for; None for all."""

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        width: int = 256,
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
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights)
        last = {stride: level for level, stride in enumerate(self.encoder.strides) if stride >= FINEST}  # of each stride
        self.strides, self.taken = list(last), list(last.values())
        levels, strides = [self.encoder.channels[level] for level in self.taken], self.strides
        if not levels:
            raise OptionError(
                f"strides of encoder {encoder!r}", expected=f"one or more of {FINEST} or coarser", received=self.encoder.strides
            )
        self.stride, self.multiple = strides[0], max(strides)
        self.pyramid = FeaturePyramid(levels, width, norm=norm)
        self.proposals = Proposals(
            width,
            (*strides, 2 * strides[-1]),
            scales,
            ratios,
            layers=proposal_layers,
            kept=proposals,
            samples=anchor_samples,
        )
        self.regions = RegionHeads(
            BoxHead(width, channels, box_width, box_layers, norm=norm),
            MaskHead(width, channels, mask_width, mask_layers, norm=norm),
            len(levels),
            samples=region_samples,
            score=score,
            overlap=overlap,
            most=detections,
        )
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "width": width,
            "scales": list(scales),
            "ratios": list(ratios),
            "proposal_layers": proposal_layers,
            "proposals": proposals,
            "anchor_samples": anchor_samples,
            "region_samples": region_samples,
            "box_width": box_width,
            "box_layers": box_layers,
            "mask_width": mask_width,
            "mask_layers": mask_layers,
            "norm": norm,
            "score": score,
            "overlap": overlap,
            "detections": detections,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, **cls.TINY)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Regions:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to what is found, or to losses."""
        return self.found(self.levels(images, valid, stats), images, valid, targets)

    def levels(self, images: Tensor, valid: Tensor | None, stats: Tensor | None) -> list[Tensor]:
        """The pyramid of the images, put into the corner of a canvas that the coarsest cells cover exactly."""
        if images.ndim != 4:
            raise InvalidNoun("images", expected="(B, C, H, W), because boxes are flat", received=tuple(images.shape))
        normalised = self.normalise(images, valid, stats)
        height, width = normalised.shape[2:]
        canvas = pad(normalised, (0, -width % self.multiple, 0, -height % self.multiple))
        features = self.encoder(canvas)
        return self.pyramid([features[level] for level in self.taken])  # type: ignore[no-any-return]

    def found(self, levels: list[Tensor], images: Tensor, valid: Tensor | None, targets: Targets | None) -> Regions:
        """What is found on the pyramid; in training the losses."""
        height, width = images.shape[2:]
        size = (height, width)
        padded = (height + -height % self.multiple, width + -width % self.multiple)
        if not self.training:
            found, _ = self.proposals(levels, size, padded)
            return self.regions(levels, found, size, padded)  # type: ignore[no-any-return]
        if targets is None:
            raise InvalidNoun(
                "training a network of regions",
                expected="targets, which decide the regions that it is trained on",
                received=None,
                hint="Pass targets, or call eval() on the network.",
            )
        objects = objects_of(targets, valid, self.things)
        found, losses = self.proposals(levels, size, padded, objects)
        return Regions(losses={**losses, **self.regions.losses(levels, found, padded, objects)})
