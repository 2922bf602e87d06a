"""Fully convolutional networks (Long, Shelhamer, Darrell 2015, arXiv 1411.4038): FCN-32s, FCN-16s, FCN-8s.

A classification network whose fully connected layers have become convolutions scores every cell; scores of finer pools are added on
the way back to full size. Deviations from the paper and its Caffe code:

- Sizes: no padding of the image by 100 pixels. Pools round up and fc6 pads by 3, so a cell of stride 2^i covers the same 2^i pixels
  at every level, and after up-sampling only what lies beyond the right and bottom border is cut off.
- The deepest scoring layer starts at random, so that from the first step gradients reach the encoder; those of the skips start at
  zero, as in section 4.2, so that FCN-8s starts as the up-sampled FCN-32s.
- `skip_scales` are 1: Caffe's (0.01, 0.0001) in training all at once go with its activations on pixels of 0 to 255.
- Kernels that are not learnt are no parameters, and interpolate without a convolution.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.errors import OptionError, nearest
from intarsia.core.output import Dense
from intarsia.models.blocks.bilinear import Bilinear
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.encoders.make import input_pixels, make_encoder
from intarsia.models.encoders.timm_encoder import TimmEncoder
from intarsia.models.encoders.vgg import VGG, WIDTHS, is_vgg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["FCN", "Scores"]

UPSAMPLING = ("intermediate", "learnt", "fixed")


class FCN(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, H, W).

    `stride` is that of the finest level scored: 8, 16 or 32 for FCN-8s, FCN-16s, FCN-32s; any stride of the encoder will do.
    `encoder` is a VGG (vgg16, or vgg16_bn with batch norm) with its fully connected layers, "googlenet", or any timm network, which
    is scored where it ends. `weights` is "none", "timm" or the path of a local .safetensors or .pth file; for a VGG that of a
    classifier, whose fully connected layers are taken over. `widths` (six) make a VGG narrow: its stages and its fully connected
    layers.

    `upsampling`: which transposed convolutions are learnt, starting as bilinear interpolation: the "intermediate" ones and not the
    last (the paper's), all ("learnt") or none ("fixed"). `dropout` is that of fc6 and fc7, elsewhere of the deepest features.
    `skip_scales` multiply the features that are scored at finer levels, coarsest first; those left out are 1.

    Raises OptionError for a stride that the encoder lacks, widths without a VGG, and an unknown encoder or kind of up-sampling.

    >>> import torch
    >>> tuple(FCN.tiny(channels=5)(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 33, 50)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Long et al. 2015, arXiv 1411.4038"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "vgg16",
        weights: str = "none",
        widths: Sequence[int] | None = None,
        stride: int = 8,
        upsampling: Literal["intermediate", "learnt", "fixed"] = "intermediate",
        dropout: float = 0.5,
        skip_scales: Sequence[float] = (),
    ) -> None:
        super().__init__()
        if upsampling not in UPSAMPLING:
            raise OptionError(
                "upsampling", expected="intermediate, learnt or fixed", received=upsampling, hint=nearest(upsampling, UPSAMPLING)
            )
        vgg = is_vgg(encoder)
        if widths is not None and not (vgg and len(widths) == 6):
            raise OptionError("widths", expected="6 numbers, with a VGG encoder", received=f"{tuple(widths)} with {encoder}")
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder: Any = (
            VGG(encoder, in_channels, weights, widths=widths or WIDTHS, dropout=dropout)
            if vgg
            else make_encoder(encoder, in_channels, weights)
        )
        # deepest first; of several levels at one stride, as a plain transformer's, the deepest
        levels = {s: level for level, s in enumerate(self.encoder.strides) if s >= stride}
        if stride not in levels:
            raise OptionError("stride", expected=f"one of {encoder}'s, {sorted(set(self.encoder.strides))}", received=stride)
        self.levels = sorted(levels.values(), reverse=True)
        self.dropout = nn.Dropout(0.0 if vgg else dropout)
        if len(skip_scales) >= len(levels):
            raise OptionError("skip_scales", expected=f"at most {len(levels) - 1}, one for each skip", received=tuple(skip_scales))
        scales = [*skip_scales, *(1.0,) * (len(levels) - 1 - len(skip_scales))]
        self.classify = Scores(
            channels,
            [self.encoder.channels[level] for level in self.levels],
            [self.encoder.strides[level] for level in self.levels],
            upsampling,
            scales,
        )
        self.multiple = 1 if _rounds_up(self.encoder, in_channels) else max(self.encoder.strides)
        self.least = max(self.multiple, getattr(self.encoder, "least", 1))
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "widths": None if widths is None else list(widths),
            "stride": stride,
            "upsampling": upsampling,
            "dropout": dropout,
            "skip_scales": list(skip_scales),
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="vgg16_bn", widths=(8, 8, 16, 16, 32, 64), upsampling="learnt", dropout=0.1)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, H, W)."""
        pixels = self.normalise(images, valid, stats)
        size = covered = list(images.shape[2:])
        if self.least > 1:  # as the encoder itself would, but so that every cell covers whole cells of the next finer level
            covered = [max(length + -length % self.multiple, self.least) for length in size]
            if covered != size:
                pixels = interpolate(pixels, size=covered, mode="bilinear")  # (B, in_channels, *covered)
        features = self.encoder(pixels)
        deepest, *finer = (features[level] for level in self.levels)  # (B, encoder.channels[i], *s)
        logits = self.classify([self.dropout(deepest), *finer], covered)  # (B, channels, *covered)
        if covered != size:
            logits = interpolate(logits, size=size, mode="bilinear")  # (B, channels, *S)
        return Dense(logits)


class Scores(nn.Module):
    """All of an FCN that knows the classes: a scoring layer for each level, and the up-sampling between and after them.

    `inputs` and `strides` of the levels, deepest first; `scales` of all but the deepest.
    """

    def __init__(
        self, channels: int, inputs: Sequence[int], strides: Sequence[int], upsampling: str, scales: Sequence[float]
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.scores = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        self.between = nn.ModuleList(
            Bilinear(channels, coarse // fine, learnt=upsampling != "fixed") for coarse, fine in pairwise(strides)
        )
        self.last = Bilinear(channels, strides[-1], learnt=upsampling == "learnt")
        for score in self.scores:
            nn.init.zeros_(score.bias)  # type: ignore[arg-type]
        for score in self.scores[1:]:
            nn.init.zeros_(score.weight)  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Levels (B, inputs[i], *s), deepest first, to logits (B, channels, *size)."""
        deepest, *finer = features
        logits = self.scores[0](deepest)  # (B, channels, *s)
        for score, enlarge, scale, level in zip(self.scores[1:], self.between, self.scales, finer, strict=True):
            logits = enlarge(logits, level.shape[2:]) + score(scale * level)  # (B, channels, *s), s twice as fine
        return self.last(logits, size)  # type: ignore[no-any-return]  # (B, channels, *size)


def _rounds_up(encoder: Any, in_channels: int) -> bool:
    """Whether the encoder takes any size and each of its levels has a cell for what is left over; tried, as timm does not say."""
    if not isinstance(encoder, TimmEncoder):
        return True
    if encoder.multiple > 1:
        return False
    size = max(encoder.strides) + 1  # odd at every level
    with torch.no_grad():
        levels = encoder.eval()(torch.zeros(1, in_channels, size, size))
    encoder.train()
    return all(level.shape[2] == -(-size // stride) for level, stride in zip(levels, encoder.strides, strict=True))
