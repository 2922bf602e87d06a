"""MobileNetV3 (Howard et al. 2019, arXiv 1905.02244) as torchvision builds it, for the weights of its segmentation networks: timm's
twin differs in the epsilon of its norms, in the block where dilation begins, and in the block that a level is taken from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small

from intarsia.core.errors import CheckpointError, OptionError, nearest
from intarsia.core.pixels import Pixels
from intarsia.models.blocks.dilated_depthwise import mend_dilated
from intarsia.models.blocks.scarce_norm import ScarceNorm
from intarsia.models.encoders.weights import Loaded, load_weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PIXELS", "TorchvisionMobileNet", "encoder"]

PIXELS = Pixels()
"""ImageNet's."""

NETWORKS = {
    "torchvision_mobilenet_v3_large": (mobilenet_v3_large, (0, 2, 4, 7, 16)),
    "torchvision_mobilenet_v3_small": (mobilenet_v3_small, (0, 1, 2, 4, 12)),
}
"""Each with the places of its levels: the stem, the first block of each later stride, and the last convolution."""
NORM = partial(ScarceNorm, eps=0.001, momentum=0.01)
"""With torchvision's numbers."""


class TorchvisionMobileNet(nn.Module):
    """Images (B, in_channels, *S) to five levels, at strides 2 to 32, or to 16 with the deepest dilated.

    `weights` is "none" or the path of a .safetensors or .pth file with torchvision's names; `loaded` reports what came of it.
    Raises OptionError for another name or output stride, CheckpointError for weights that cannot be had or do not fit.

    >>> net = TorchvisionMobileNet("torchvision_mobilenet_v3_large", output_stride=16)
    >>> net.channels, net.strides
    ((16, 24, 40, 80, 960), (2, 4, 8, 16, 16))
    """

    def __init__(self, name: str, in_channels: int = 3, weights: str = "none", output_stride: int | None = None) -> None:
        super().__init__()
        if name not in NETWORKS:
            raise OptionError("encoder", expected="one of torchvision's", received=name, hint=nearest(name, NETWORKS))
        if output_stride not in (None, 16, 32):
            raise OptionError(
                f"output_stride of encoder {name!r}",
                expected="16 or 32",
                received=output_stride,
                hint="timm's mobilenetv3_large_100 can be dilated to 8 too.",
            )
        build, self.levels = NETWORKS[name]
        deepest = output_stride or 32
        self.features = build(weights=None, dilated=deepest == 16, norm_layer=NORM).features  # named as torchvision's
        mend_dilated(self.features)
        self.strides = (2, 4, 8, 16, deepest)
        if in_channels != 3:
            first = self.features[0][0]
            self.features[0][0] = nn.Conv2d(in_channels, first.out_channels, 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(self.features[0][0].weight, mode="fan_out")
        self.channels = tuple(self.features[level].out_channels for level in self.levels)
        self.loaded: Loaded | None = None
        if weights == "timm":
            raise CheckpointError(
                f"weights of encoder {name!r}",
                expected="'none' or the path of a local .safetensors or .pth file",
                received=weights,
                hint="timm has weights for mobilenetv3_large_100.",
            )
        if weights != "none":
            self.loaded = load_weights(self, weights, in_channels)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first."""
        features = []
        for index, layer in enumerate(self.features):
            pixels = layer(pixels)  # (B, C, *s)
            if index in self.levels:
                features.append(pixels)
        return features


def encoder(name: str, in_channels: int, weights: str, output_stride: int | None) -> TorchvisionMobileNet:
    """The encoder of that name; see `TorchvisionMobileNet`."""
    return TorchvisionMobileNet(name, in_channels, weights, output_stride)
