"""LR-ASPP beyond its family's contract; test_pretrained_torchvision.py compares it with torchvision's."""

from __future__ import annotations

import re

import pytest
import torch

from intarsia.core.errors import OptionError
from intarsia.models.lraspp import LRASPP


@pytest.mark.parametrize(
    ("encoder", "stride", "level"),
    [
        ("lcnet_035", 16, 2),
        ("lcnet_035", 8, 2),  # the first of three at stride 8
        ("convnext_atto", 16, 1),  # begins at stride 4
        ("vit_tiny_patch16_224", 16, 0),  # nothing finer than 16
    ],
)
def test_skips_at_stride_8(encoder: str, stride: int, level: int) -> None:
    net = LRASPP(2, encoder=encoder, output_stride=stride).eval()
    assert net.skip_level == level
    finest = max(8, net.encoder.strides[0])
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 64, 96)).logits.shape == (1, 2, 64 // finest, 96 // finest)


def test_the_whole_image_weighs_the_channels() -> None:
    """By hand: fine scores, plus coarse scores of features times the sigmoid of what the mean of the map says."""
    torch.manual_seed(0)
    net = LRASPP.tiny(3).eval()
    for key, tensor in net.state_dict().items():
        if tensor.ndim == 1 and key.startswith(("encoder", "point")):
            tensor.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else tensor.normal_()
    images = torch.randint(0, 256, (1, 3, 64, 96))
    with torch.no_grad():
        levels = net.encoder(net.normalise(images))
        shares = torch.sigmoid(net.weigh.weight[:, :, 0, 0] @ levels[-1].mean(dim=(0, 2, 3)))  # (C,)
        weighed = torch.einsum("bchw,c->bchw", net.point(levels[-1]), shares)
        coarse = torch.nn.functional.interpolate(weighed, scale_factor=2, mode="bilinear")
        assert shares.std() > 0.1
        assert net.classify["coarse"](coarse).std() > 0.1
        expected = net.classify["fine"](levels[2]) + net.classify["coarse"](coarse)
        torch.testing.assert_close(net(images).logits, expected, rtol=1e-5, atol=1e-5)


def test_one_image_can_be_trained_on() -> None:
    net = LRASPP.tiny(5).train()
    net(torch.randint(0, 256, (1, 3, 40, 56))).logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_an_encoder_that_cannot_be_dilated_says_what_can() -> None:
    with pytest.raises(OptionError, match=re.escape("output_stride of encoder 'ghostnet_050': expected 32, its own")):
        LRASPP(2, encoder="ghostnet_050")
