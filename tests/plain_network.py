"""Networks without batch norm, named from outside the catalogue as "plain_network:Plain"."""

from __future__ import annotations

from torch import nn

from intarsia.core import Dense, Pixels
from intarsia.models.blocks.normalise import Normalise

__all__ = ["Encoded", "Plain"]


class Plain(nn.Module):
    """Two convolutions, logits at full size."""

    def __init__(self, channels, in_channels=3, *, pixels: Pixels):
        super().__init__()
        self.normalise = Normalise(pixels, in_channels)
        self.layers = nn.Sequential(nn.Conv2d(in_channels, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, channels, 3, padding=1))

    def forward(self, images, valid=None, targets=None, *, stats=None):
        return Dense(self.layers(self.normalise(images, valid, stats)))


class Encoded(Plain):
    """The same with an encoder that can be frozen."""

    def __init__(self, channels, in_channels=3, *, pixels: Pixels):
        super().__init__(channels, in_channels, pixels=pixels)
        self.encoder, self.classify = self.layers[:2], self.layers[2]
        del self.layers

    def forward(self, images, valid=None, targets=None, *, stats=None):
        return Dense(self.classify(self.encoder(self.normalise(images, valid, stats))))
