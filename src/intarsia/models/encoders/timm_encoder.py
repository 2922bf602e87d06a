"""Any encoder of timm as a pyramid of features, with weights from timm or from a local file."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core.errors import CheckpointError, OptionError, nearest
from intarsia.models.blocks.dilated_depthwise import mend_dilated
from intarsia.models.encoders.swin_windows import fill_before_shift
from intarsia.models.encoders.weights import Loaded, load_weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TimmEncoder", "record_of"]

ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"strict_img_size": False, "always_partition": True},  # Swin, whose windows are to shift at every level, however small once
    {"dynamic_img_size": True},
    {"strict_img_size": False},
)
"""How transformers of timm are told that images come in other sizes than that of their pretraining; convolutions need nothing."""
STRIDES = (2, 4, 8, 16, 32)
"""What `output_stride` may be."""
AS_TORCHVISION = ("mobilenetv2_",)
"""How the names begin of timm's networks that are torchvision's to the last number, epsilons and order of the tensors included, but
for the names. Its MobileNetV3 and EfficientNetV2 have epsilons of their own."""


class TimmEncoder(nn.Module):
    """Features of a timm network, finest first: level i has `channels[i]` and is `strides[i]` times coarser than the image.

    `weights` is "none", "timm" (timm's own, downloaded on first use) or the path of a local .safetensors or .pth file; `loaded`
    reports what came of it. `output_stride` (8 or 16) keeps the deepest levels at that stride, their convolutions dilated; the
    weights stay the same. Raises OptionError for an unknown encoder or one that cannot be dilated, and CheckpointError for weights
    that cannot be had or do not fit.

    >>> encoder = TimmEncoder("mobilenetv2_100", in_channels=4)
    >>> encoder.channels, encoder.strides
    ((16, 24, 32, 96, 320), (2, 4, 8, 16, 32))
    >>> TimmEncoder("mobilenetv2_100", output_stride=8).strides
    (2, 4, 8, 8, 8)
    """

    def __init__(self, name: str, in_channels: int = 3, weights: str = "none", output_stride: int | None = None) -> None:
        super().__init__()
        self.in_channels = in_channels
        make = _created if output_stride is None else partial(_dilated, output_stride)
        self.network = make(name, in_channels, pretrained=weights == "timm")
        fill_before_shift(self.network)
        mend_dilated(self.network)
        self.channels = tuple(self.network.feature_info.channels())
        self.channels_last = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC")
        self.strides = tuple(self.network.feature_info.reduction())
        self.loaded: Loaded | None = None
        if weights == "timm":
            self.loaded = Loaded("timm", len(self.network.state_dict()))
        elif weights != "none":
            self.loaded = load_weights(self.network, weights, in_channels, in_order=name.startswith(AS_TORCHVISION))
        self.multiple = next(filter(self._takes_multiples, (1, self.strides[0])), max(self.strides))
        self.least = 1 if self.multiple == 1 and self._finest(1) is not None else max(self.strides)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first, the finest rounded up.

        Where the network needs multiples of some size, the image is enlarged to the next one, so that the cells cover it exactly;
        with padding the cells would reach beyond it. Such a network, and one that fails on tiny images (PVT),
        gets at least one cell of its coarsest level.
        """
        if self.least > 1:
            size = [max(length + -length % self.multiple, self.least) for length in pixels.shape[2:]]
            if size != list(pixels.shape[2:]):
                pixels = interpolate(pixels, size=size, mode="bilinear")  # (B, in_channels, *S) to the next multiple
        features = self.network(pixels)
        if self.channels_last:
            features = [level.movedim(-1, 1) for level in features]  # (B, *s, C) -> (B, C, *s)
        return features  # type: ignore[no-any-return]

    def _takes_multiples(self, multiple: int) -> bool:
        """Whether the network accepts such sizes and leaves no border out."""
        size = 2 * max(self.strides) + multiple
        return bool(self._finest(size) == -(-size // self.strides[0]))

    def _finest(self, size: int) -> int | None:
        """The size of the finest level of a square image, or None where the network fails; tried, because timm does not say."""
        try:
            with torch.no_grad():
                features = self.network.eval()(torch.zeros(1, self.in_channels, size, size))
        except (RuntimeError, AssertionError):
            return None
        finally:
            self.network.train()
        return int(features[0].shape[1 if self.channels_last else 2])


def record_of(name: str) -> Any:
    """timm's record of a network's weights (scaling, licence, tag), or None for one that timm lacks.

    Raises OptionError for a tag that timm does not have for the network.

    >>> record_of("resnet18").tag, record_of("googlenet")
    ('a1_in1k', None)
    """
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = timm.list_pretrained(name.partition(".")[0])
        raise OptionError(f"encoder {name!r}", expected="a tag of weights that timm has", hint=nearest(name, known)) from error


def _dilated(output_stride: int, name: str, in_channels: int, *, pretrained: bool) -> Any:
    """The timm network kept at `output_stride` by dilation, or as it is where that is fine enough."""
    if output_stride not in STRIDES:  # timm would take the next finer one that it knows
        raise OptionError(f"output_stride of encoder {name!r}", expected=f"one of {STRIDES}", received=output_stride)
    try:
        network = _created(name, in_channels, pretrained=pretrained, output_stride=output_stride)
    except (TypeError, AssertionError):  # timm's two ways to say that a network cannot be dilated, or not so
        network = _created(name, in_channels, pretrained=pretrained)
    deepest = max(network.feature_info.reduction())
    if deepest > output_stride:
        raise OptionError(
            f"output_stride of encoder {name!r}",
            expected=f"{deepest}, its own, because timm cannot dilate it to {output_stride}",
            received=output_stride,
            hint=f"Pass output_stride={deepest}, or name an encoder that can be dilated to 8 or 16: mobilenetv2_100, resnet50.",
        )
    return network


def _created(name: str, in_channels: int, *, pretrained: bool, **more: Any) -> Any:
    """The timm network that gives features, made for images of any size where it can be."""
    if not timm.is_model(name.partition(".")[0]):
        raise OptionError(f"encoder {name!r}", expected="a name that timm knows", hint=nearest(name, timm.list_models()))
    record = record_of(name)
    create = partial(timm.create_model, name, pretrained=pretrained, features_only=True, in_chans=in_channels, **more)
    try:
        for options in ANY_SIZE if record and record.fixed_input_size else ():
            with suppress(TypeError):  # not for this one
                return create(**options)
        return create()
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise OptionError(f"encoder {name!r}", expected="one that gives a pyramid of features", received=error) from error
        raise CheckpointError(
            f"timm's weights of {name}",
            expected="a download, or a copy in the Hugging Face cache",
            received=error,
            hint="Pass weights='none', or the path of a local .safetensors or .pth file.",
        ) from error
