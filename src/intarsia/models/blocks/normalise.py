"""Normalise: raw pixel values to network input, on the device; the twin of `Pixels.normalised`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.pixels import Pixels

__all__ = ["Normalise"]


class Normalise(nn.Module):
    """(x - low) / (high - low), then (x - mean) / std, as `pixels` says. Buffers, so that weights and scaling travel together.

    >>> from intarsia.core import Pixels
    >>> normalise = Normalise(Pixels(mean=(0.5,), std=(0.5,)), in_channels=1)
    >>> normalise(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)).flatten().tolist()
    [-1.0, 1.0]
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, pixels: Pixels, in_channels: int) -> None:
        super().__init__()
        self.pixels = pixels.for_channels(in_channels)
        for name in ("low", "high"):
            self.register_buffer(name, torch.full((in_channels,), getattr(self.pixels, name)))  # (C,)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(self.pixels, name)))  # (C,)

    def forward(self, images: Tensor, valid: Tensor | None = None, stats: Tensor | None = None) -> Tensor:
        """(B, C, *S) of any dtype to float32, channels last in memory; 0 where `valid` (B, *S) is False.

        `stats` (B, C, 2) holds low and high of each whole image. Raises InvalidNoun for another number of channels, and where
        `per_image` pixels come without stats.
        """
        channels = len(self.mean)
        if images.shape[1] != channels:
            raise InvalidNoun("images", expected=f"(B, {channels}, *S)", received=tuple(images.shape))
        if stats is not None:
            low, high = stats.float().unbind(dim=2)  # (B, C, 2) -> 2 x (B, C)
        elif self.pixels.kind == "fixed":
            low, high = self.low[None], self.high[None]  # (1, C)
        else:
            raise InvalidNoun(
                "stats",
                expected="(B, C, 2), the low and high of each whole image, because these pixels are scaled per image",
                received=None,
                hint="Pass Pixels.stats(image) of each image.",
            )
        scale = (high - low) * self.std
        shift = low + (high - low) * self.mean
        last = images.movedim(1, -1)  # (B, *S, C)
        width = last.shape[-2]
        wide = last.flatten(-2).to(
            torch.float32, copy=True
        )  # (B, ..., W C): along rows, as a loop over 3 channels at a time is slow

        def tiled(values: Tensor) -> Tensor:
            return values.repeat(1, width).view(-1, *(1,) * (wide.ndim - 2), width * channels)  # (B or 1, C) -> (B or 1, ..., W C)

        # subtracting first keeps the precision of 16-bit values within a narrow range
        wide.sub_(tiled(shift)).div_(tiled(scale))
        normalised = wide.view(*wide.shape[:-1], width, channels)  # (B, *S, C)
        if valid is not None:
            normalised.masked_fill_(~valid[..., None], 0)  # also where nodata is NaN
        return normalised.movedim(wide.ndim, 1)  # (B, C, *S); torch's tracing exporter takes no negative axis here
