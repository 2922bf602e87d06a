"""The one door to encoders: by name, whether timm's or one of our own files, with the scaling that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from intarsia.core.pixels import Pixels
from intarsia.models.encoders.timm_encoder import TimmEncoder, record_of
from intarsia.models.encoders.weights import file_pixels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Encoder", "encoder_pixels", "input_pixels", "make_encoder"]

OWN: dict[str, str] = {"googlenet": "googlenet", "mit": "mit", "torchvision": "torchvision_mobilenet"}
"""Encoders that timm lacks, by the part of their name before any underscore: the file here that makes them, by its function
`encoder(name, in_channels, weights, output_stride)`, and tells by PIXELS how their weights expect images to be scaled."""


class Encoder(Protocol):
    """What decoders ask of an encoder."""

    channels: tuple[int, ...]
    """Of each level, finest first."""
    strides: tuple[int, ...]
    """How many times coarser than the image each level is."""

    def __call__(self, pixels: Tensor, /) -> list[Tensor]:
        """(B, in_channels, *S) -> one (B, channels[i], *S / strides[i]) for each level, finest first."""
        ...


def make_encoder(name: str, in_channels: int = 3, weights: str = "none", *, output_stride: int | None = None) -> Any:
    """The encoder called `name`, an `Encoder` and a torch module; `weights` as in `TimmEncoder`.

    `output_stride` (8 or 16) keeps the deepest levels at that stride, by dilation. Raises OptionError for an unknown name and
    CheckpointError for weights that cannot be had or do not fit.
    """
    own = _own(name)
    if own is not None:
        return own.encoder(name, in_channels, weights, output_stride)
    return TimmEncoder(name, in_channels, weights, output_stride)


def input_pixels(pixels: Pixels | Mapping[str, Any] | None, encoder: str | None = None, weights: str = "none") -> Pixels:
    """The pixels given, as a record or as its plain dict; else those that the encoder's weights expect; else the default."""
    if isinstance(pixels, Mapping):
        return Pixels.from_dict(pixels)
    if pixels is not None:
        return pixels
    return encoder_pixels(encoder, weights) if encoder else Pixels()


def encoder_pixels(name: str, weights: str) -> Pixels:
    """The scaling that an encoder's weights expect: of a local file what `file_pixels` knows, else that of the encoder's own file,
    else timm's record, else ImageNet's. Raises OptionError for a tag that timm does not have.

    >>> encoder_pixels("mobilenetv2_100", "none").mean, encoder_pixels("googlenet", "none").mean
    ((0.485, 0.456, 0.406), (0.5, 0.5, 0.5))
    """
    known = file_pixels(weights) if weights not in ("none", "timm") else None
    if known is not None:
        return known
    own = _own(name)
    if own is not None:
        return own.PIXELS  # type: ignore[no-any-return]
    record = record_of(name)
    return Pixels(mean=record.mean, std=record.std) if record else Pixels()


def _own(name: str) -> Any:
    """The file here that makes an encoder; None for one of timm's."""
    file = OWN.get(name.partition("_")[0])
    return None if file is None else import_module(f"intarsia.models.encoders.{file}")
