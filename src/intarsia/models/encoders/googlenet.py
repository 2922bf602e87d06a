"""GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842) as a pyramid of features: torchvision's network, which timm lacks.

One deviation: an odd size is rounded up before it is pooled, with a border of zeros that no maximum sees (what is pooled is not
negative). Torchvision's pools leave such a border row out, and fail on a single one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import pad
from torchvision.models import GoogLeNet as Classifier

from intarsia.core.errors import CheckpointError, OptionError
from intarsia.core.pixels import Pixels
from intarsia.models.blocks.scarce_norm import ScarceNorm
from intarsia.models.encoders.weights import Loaded, load_weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PIXELS", "GoogLeNet", "encoder"]

PIXELS = Pixels(mean=(0.5,) * 3, std=(0.5,) * 3)
"""x / 127.5 - 1, as torchvision's weights expect."""

LEVELS = {
    64: ("conv1",),
    192: ("conv2", "conv3"),
    480: ("inception3a", "inception3b"),
    832: ("inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
    1024: ("inception5a", "inception5b"),
}
"""The modules of each level by the channels that it ends in; a pool stands before each but the first."""


class GoogLeNet(nn.Module):
    """Features of GoogLeNet, finest first; `weights` is "none" or the path of a .safetensors or .pth file with torchvision's names.

    `loaded` reports what came of the file. Raises CheckpointError for weights that cannot be had or do not fit.

    >>> import torch
    >>> [tuple(level.shape) for level in GoogLeNet()(torch.zeros(1, 3, 33, 50))][2:]
    [(1, 480, 5, 7), (1, 832, 3, 4), (1, 1024, 2, 2)]
    """

    def __init__(self, in_channels: int = 3, weights: str = "none") -> None:
        super().__init__()
        if weights == "timm":
            raise CheckpointError(
                "weights of googlenet",
                expected="'none', or the path of a file with torchvision's names",
                received="'timm', which has no GoogLeNet",
            )
        self.channels = tuple(LEVELS)
        self.strides = (2, 4, 8, 16, 32)
        network = Classifier(aux_logits=False, init_weights=False)
        network.conv1.conv = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        for name, module in network.named_children():
            if not name.startswith("maxpool") and name not in ("avgpool", "dropout", "fc"):
                self.add_module(name, module)
        self.pools = nn.ModuleList(getattr(network, f"maxpool{level}") for level in range(1, 5))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                module.__class__ = ScarceNorm
        self.loaded: Loaded | None = None if weights == "none" else load_weights(self, weights, in_channels)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first."""
        features: list[Tensor] = []
        for level, names in enumerate(LEVELS.values()):
            if level:
                height, width = pixels.shape[2:]
                pixels = self.pools[level - 1](pad(pixels, (0, width % 2, 0, height % 2)))  # (B, C, *s) -> (B, C, *s/2)
            for name in names:
                pixels = self.get_submodule(name)(pixels)  # (B, C, *s)
            features.append(pixels)
        return features


def encoder(name: str, in_channels: int = 3, weights: str = "none", output_stride: int | None = None) -> GoogLeNet:
    """The encoder `googlenet`. Raises OptionError for another name, and for an output stride, as it is not made to be dilated."""
    if name != "googlenet":
        raise OptionError("encoder", expected="googlenet", received=name, hint="It comes in one size only.")
    if output_stride not in (None, 32):
        raise OptionError(
            "output_stride of encoder 'googlenet'",
            expected="32, because it is not made to be dilated",
            received=output_stride,
            hint="Pass output_stride=32, or name an encoder that can be dilated to 8 or 16: mobilenetv2_100, resnet50.",
        )
    return GoogLeNet(in_channels, weights)
