"""The one door to encoders: by name, whether timm's or one of our own files, with the scaling that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from intarsia.core.pixels import Pixels
from intarsia.models.encoders.timm_encoder import TimmEncoder, encoder_pixels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Encoder", "input_pixels", "make_encoder"]

OWN: dict[str, str] = {"googlenet": "googlenet", "mit": "mit", "torchvision": "torchvision_mobilenet"}
"""Encoders that timm lacks, by the part of their name before any underscore: the file here that makes them, by its function
`encoder(name, in_channels, weights, output_stride)`."""


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
    own = OWN.get(name.partition("_")[0])
    if own is not None:
        return import_module(f"intarsia.models.encoders.{own}").encoder(name, in_channels, weights, output_stride)
    return TimmEncoder(name, in_channels, weights, output_stride)


def input_pixels(pixels: Pixels | Mapping[str, Any] | None, encoder: str | None = None, weights: str = "none") -> Pixels:
    """The pixels given, as a record or as its plain dict; else those that the encoder's weights expect; else the default."""
    if isinstance(pixels, Mapping):
        return Pixels.from_dict(pixels)
    if pixels is not None:
        return pixels
    return encoder_pixels(encoder, weights) if encoder else Pixels()
