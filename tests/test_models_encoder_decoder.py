"""The plain encoder-decoder beyond its family's contract: its widths, and what it cannot know."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from intarsia.core.errors import OptionError
from intarsia.models.encoder_decoder import EncoderDecoder
from intarsia.models.unet import UNet


def test_the_widths() -> None:
    with torch.device("meta"):
        net = EncoderDecoder(2)
    convs = [tuple(conv.weight.shape[:2]) for conv in net.modules() if isinstance(conv, nn.Conv2d)]
    assert convs == [
        *((64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (512, 256), (512, 512)),  # down
        *((64, 128), (64, 64), (128, 256), (128, 128), (256, 512), (256, 256)),  # back, finest first
        (2, 64),
    ]
    assert [module.p for module in net.modules() if isinstance(module, nn.Dropout)] == [0.5]
    assert sum(isinstance(module, nn.MaxPool2d) for module in net.modules()) == 3


@torch.no_grad()
def test_no_skip_keeps_what_pooling_loses() -> None:
    """Far from the border, stripes and their inverse pool to the same maximum: the U-Net tells them apart, this cannot."""
    torch.manual_seed(0)
    net = EncoderDecoder(1, 1, widths=(4, 8)).eval()
    stripes = torch.zeros(1, 1, 40, 40)
    stripes[..., ::2] = 255
    one, other = (net(image).logits[0, 0, 16:24, 16:24] for image in (stripes, 255 - stripes))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert one.std() > 0
    unet = UNet(1, 1, widths=(4, 8)).eval()
    one, other = (unet(image).logits[0, 0, 20, 20] for image in (stripes, 255 - stripes))
    assert abs(one - other) > 1e-3


@pytest.mark.parametrize("size", [(33, 50), (9, 8), (1, 1)])
@torch.no_grad()
def test_ends_at_the_images_size(size: tuple[int, int]) -> None:
    net = EncoderDecoder(2, widths=(4, 8, 8, 8)).eval()
    assert net(torch.zeros(1, 3, *size)).logits.shape == (1, 2, *size)


def test_dropout_at_the_bottom_only_while_training() -> None:
    net, image = EncoderDecoder(2, 1, widths=(4, 8), dropout=0.5).eval(), torch.rand(1, 1, 8, 8) * 255
    assert torch.equal(net(image).logits, net(image).logits)
    net.dropout.train()
    assert any(not torch.equal(net(image).logits, net(image).logits) for _ in range(10))


def test_no_widths() -> None:
    with pytest.raises(OptionError, match=re.escape("widths: expected at least one number, finest level first, received ()")):
        EncoderDecoder(2, widths=())
