"""PSPNet (Zhao, Shi, Qi, Wang, Jia 2017, arXiv 1612.01105): one map, and beside each cell what its surroundings look like.

Deviations from the paper: the encoder is timm's, so without the authors' deep stem unless it is named (resnet50c), and one or two
images in a batch are normed by the running statistics where they are pooled to one cell (`ScarceNorm`).
segmentation_models.pytorch has no norm there, a fusing convolution of 1x1 and one of 3x3 for the scores; `kernel` sets the former.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import nn

from intarsia.core.output import Dense
from intarsia.models.blocks.conv_norm_act import ConvNormAct
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.blocks.pyramid_pooling import PyramidPooling
from intarsia.models.blocks.score_head import auxiliary_head
from intarsia.models.encoders.make import input_pixels, make_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.pixels import Pixels

__all__ = ["PSPNet"]


class PSPNet(nn.Module):
    """Images (B, in_channels, H, W) of any dtype and size to `Dense` logits (B, channels, *s), `output_stride` times coarser.

    `encoder` is any timm network that can be dilated to `output_stride` 8 or 16, or one that is so fine anyway (the paper's are
    resnet50 to resnet269 at 8); `weights` is "none", "timm" or the path of a local .safetensors or .pth file. The means over `bins`
    x `bins` cells share the channels of the map among them; a convolution of `kernel` x `kernel` fuses them to `width`.
    `align_corners` says how pooled maps and scores are enlarged (the authors: True). `aux_level` is the encoder's level that a
    second head reads while training (section 3.3), or None. Raises OptionError for an encoder that timm lacks or cannot dilate.

    >>> import torch
    >>> net = PSPNet.tiny(channels=5)
    >>> tuple(net(torch.zeros(2, 3, 33, 50, dtype=torch.uint8)).logits.shape)
    (2, 5, 5, 7)
    """

    tasks: ClassVar[tuple[str, ...]] = ("semantic",)
    losses: ClassVar[dict[str, float]] = {"cross_entropy": 1.0, "dice": 1.0}
    origin: ClassVar[str] = "Zhao et al. 2017, arXiv 1612.01105"
    exports: ClassVar[tuple[str, ...]] = ("torch", "onnx", "openvino")

    def __init__(
        self,
        channels: int,
        in_channels: int = 3,
        *,
        pixels: Pixels | Mapping[str, Any] | None = None,
        encoder: str = "mobilenetv2_100",
        weights: str = "none",
        output_stride: int = 8,
        width: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        kernel: int = 3,
        dropout: float = 0.1,
        align_corners: bool = False,
        aux_level: int | None = -2,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(input_pixels(pixels, encoder, weights), in_channels)
        self.pixels = self.normalise.pixels
        self.encoder = make_encoder(encoder, in_channels, weights, output_stride=output_stride)
        deepest = self.encoder.channels[-1]
        self.pool = PyramidPooling(deepest, max(1, deepest // len(bins)), bins, align_corners=align_corners)
        self.fuse = ConvNormAct(self.pool.out_channels, width, kernel)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(width, channels, 1)
        self.align_corners, self.aux_level = align_corners, aux_level
        self.auxiliary = auxiliary_head(self.encoder.channels, aux_level, channels)
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "in_channels": in_channels,
            "pixels": self.pixels.to_dict(),
            "encoder": encoder,
            "output_stride": output_stride,
            "width": width,
            "bins": list(bins),
            "kernel": kernel,
            "dropout": dropout,
            "align_corners": align_corners,
            "aux_level": aux_level,
        }

    @classmethod
    def tiny(cls, channels: int, in_channels: int = 3) -> Self:
        """The same network with under 0.3 M parameters, for tests and trials."""
        return cls(channels, in_channels, encoder="lcnet_035", width=16, dropout=0.0)

    def forward(
        self, images: Tensor, valid: Tensor | None = None, targets: Targets | None = None, *, stats: Tensor | None = None
    ) -> Dense:
        """(B, in_channels, H, W), `valid` (B, H, W), `stats` (B, in_channels, 2) to logits (B, channels, S / output_stride)."""
        levels = self.encoder(self.normalise(images, valid, stats))
        logits = self.classify(self.dropout(self.fuse(self.pool(levels[-1]))))  # (B, channels, *s)
        if self.auxiliary is None or not self.training:
            return Dense(logits, align_corners=self.align_corners)
        return Dense(
            logits,
            aux=(Dense(self.auxiliary(levels[self.aux_level]), align_corners=self.align_corners),),
            align_corners=self.align_corners,
        )
