"""VGG (Simonyan, Zisserman 2014, arXiv 1409.1556) as an encoder that shows its pools: timm's shows neither where a maximum stood,
which SegNet remembers, nor the fully connected layers, which FCN makes convolutional.

Two deviations: pooling rounds an odd size up, so that no border pixel is lost and no size is too small; and fc6 pads by 3, so that
it gives a cell for each that it reads. On the classifier's 224x224 pixels its middle cell sees what the classifier sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import timm
from torch import nn
from torch.nn.functional import max_pool2d

from intarsia.core.errors import CheckpointError, OptionError, nearest
from intarsia.models.blocks.scarce_norm import ScarceNorm
from intarsia.models.encoders.weights import CHOICES, Loaded, load_tensors, read_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["STAGES", "VGG", "WIDTHS", "Pooled", "is_vgg"]

STAGES = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""How many convolutions stand before each pool (table 1); a name may end in `_bn`, for batch norm after each."""
WIDTHS = (64, 128, 256, 512, 512, 4096)
"""The paper's channels: of the five stages, then of both fully connected layers."""
FULLY = {"classifier.0": "fc6", "classifier.3": "fc7", "pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7"}
"""The fully connected layers in the words of torchvision and timm, and in ours; the convolutions are called alike by all."""


class Pooled(NamedTuple):
    """What one pool gives."""

    features: Tensor
    """(B, C, *s/2), odd sizes rounded up."""
    indices: Tensor
    """(B, C, *s/2): where in the flattened *s each maximum stood."""
    size: tuple[int, ...]
    """s."""


class VGG(nn.Module):
    """Images (B, in_channels, *S) to the five pools, at strides 2 to 32.

    Six `widths` in place of five put the two fully connected layers, as a 7x7 and a 1x1 convolution with ReLU and `dropout`, after
    the last pool, in whose place the list then ends with them. `weights` is "none", "timm" or the path of a .safetensors or .pth
    file with timm's or torchvision's names; `loaded` reports what came of it. A tag of timm's, as in vgg16.tv_in1k, picks the
    download.

    Raises OptionError for an unknown name or number of widths, CheckpointError for weights that cannot be had or do not fit.

    >>> import torch
    >>> encoder = VGG("vgg16_bn", widths=(2, 4, 8, 8, 8, 16))
    >>> [tuple(level.shape) for level in encoder(torch.zeros(1, 3, 40, 65))][2:]
    [(1, 8, 5, 9), (1, 8, 3, 5), (1, 16, 2, 3)]
    """

    def __init__(
        self,
        name: str = "vgg16",
        in_channels: int = 3,
        weights: str = "none",
        *,
        widths: Sequence[int] = WIDTHS[:5],
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if not is_vgg(name):
            known = [known + end for known in STAGES for end in ("", "_bn")]
            raise OptionError("encoder", expected="a VGG", received=name, hint=nearest(name, known))
        depth, _, norm = name.partition(".")[0].partition("_")
        if len(widths) not in (5, 6):
            raise OptionError(
                "widths", expected="5 numbers, one for each stage, or 6 with the fully connected layers", received=tuple(widths)
            )
        self.stages = STAGES[depth]
        self.widths = tuple(widths[:5])
        self.channels = (*widths[:4], widths[-1])
        self.strides = (2, 4, 8, 16, 32)
        layers: list[nn.Module] = []
        inputs = in_channels
        for convs, width in zip(self.stages, self.widths, strict=True):
            for _ in range(convs):
                layers += [
                    nn.Conv2d(inputs, width, 3, padding=1),
                    *([ScarceNorm(width)] if norm else []),
                    nn.ReLU(inplace=True),
                ]
                inputs = width
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*layers)  # numbered as torchvision's and timm's
        self.fc6 = nn.Conv2d(inputs, widths[5], 7, padding=3) if len(widths) == 6 else None
        self.fc7 = nn.Conv2d(widths[5], widths[5], 1) if len(widths) == 6 else None
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.loaded: Loaded | None = None
        if weights != "none":
            tensors = _downloaded(name) if weights == "timm" else read_state(Path(weights), CHOICES)
            self.loaded = load_tensors(self, _convolutional(tensors) if self.fc6 else tensors, weights, in_channels)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first."""
        features = [pool.features for pool in self.pools(pixels)]
        if self.fc6 is not None and self.fc7 is not None:
            for conv in (self.fc6, self.fc7):
                features[-1] = self.dropout(conv(features[-1]).relu_())  # (B, widths[5], *S/32)
        return features

    def pools(self, pixels: Tensor) -> list[Pooled]:
        """(B, in_channels, *S) -> the five pools, finest first, each with the places of its maxima."""
        pools: list[Pooled] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                size = tuple(pixels.shape[2:])
                pixels, indices = max_pool2d(pixels, 2, ceil_mode=True, return_indices=True)  # (B, C, *s) -> 2 x (B, C, *s/2)
                pools.append(Pooled(pixels, indices, size))
            else:
                pixels = layer(pixels)  # (B, widths[i], *s)
        return pools


def is_vgg(name: str) -> bool:
    """Whether an encoder of that name is one of these, a tag of timm's left aside.

    >>> is_vgg("vgg16_bn.tv_in1k"), is_vgg("repvgg_a0")
    (True, False)
    """
    return name.partition(".")[0].removesuffix("_bn") in STAGES


def _convolutional(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A classifier's tensors, its fully connected layers as convolutions under our names."""
    ours = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        if FULLY.get(module) == "fc6" and tensor.ndim == 2:
            tensor = tensor.reshape(len(tensor), -1, 7, 7)  # (C, 49 C') -> (C, C', 7, 7)
        elif FULLY.get(module) == "fc7" and tensor.ndim == 2:
            tensor = tensor[:, :, None, None]  # (C, C') -> (C, C', 1, 1)
        ours[f"{FULLY.get(module, module)}.{kind}"] = tensor
    return ours


def _downloaded(name: str) -> dict[str, Tensor]:
    """The tensors of timm's network, fully connected layers included."""
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"timm's weights of {name}",
            expected="a download, or a copy in the Hugging Face cache",
            received=error,
            hint="Pass weights='none', or the path of a local .safetensors or .pth file.",
        ) from error
