"""What the U-Nets share: the classic contracting path or any encoder, and the widths of a decoder that fits it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import OptionError
from intarsia.models.encoders.contracting import Contracting
from intarsia.models.encoders.make import make_encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["pyramid"]

DECODER = (16, 32, 64, 128, 256)
"""Widths of the decoder on an encoder, as far as there are levels, counted from the coarsest."""


def pyramid(
    encoder: str | None, in_channels: int, weights: str, widths: Sequence[int], *, full_size: bool
) -> tuple[Any, tuple[int, ...], int | None]:
    """The encoder; the width of each level of its decoder, finest first, one for each of the encoder's levels but the coarsest;
    and the width at the image's own size, where `full_size` asks for it and the finest level is coarser. `widths`
    holds them all, or on an encoder none, for those of `DECODER`.

    Raises OptionError for widths that do not fit, an unknown encoder, or weights without one.
    """
    if encoder is None:
        if weights != "none":
            raise OptionError("weights", expected="an encoder that they belong to", received=weights, hint="Name a timm encoder.")
        return Contracting(in_channels, widths), tuple(widths[:-1]), None
    network = make_encoder(encoder, in_channels, weights)
    more = full_size and network.strides[0] > 1
    levels = len(network.channels) - 1 + more
    decoder = tuple(widths) or DECODER[-levels:]
    if len(decoder) != levels:
        raise OptionError(
            "widths",
            expected=f"{levels} numbers, one for each level of {encoder} but the coarsest{', and the full size' * more}",
            received=decoder,
            hint=f"Leave them out for {DECODER[-levels:]}." if widths else "Pass widths.",
        )
    return network, decoder[more:], decoder[0] if more else None
