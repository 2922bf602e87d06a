"""Dilated depthwise convolutions train in mixed precision on a CPU: their gradients are those of float32."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from intarsia.models.blocks.dilated_depthwise import DilatedDepthwise
from intarsia.models.blocks.separable_conv import SeparableConv
from intarsia.models.encoders.make import make_encoder


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (3, 6), (7, 2)])
def test_the_gradient_is_that_of_float32(kernel, dilation):
    torch.manual_seed(0)
    conv = DilatedDepthwise(96, 96, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=96, bias=False)
    images = torch.randn(4, 96, 23, 30).to(memory_format=torch.channels_last)
    reference = conv.weight.detach().clone().requires_grad_()
    conv2d(images, reference, padding=conv.padding, dilation=dilation, groups=96).square().sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        conv(images.bfloat16().float()).square().sum().backward()
    torch.testing.assert_close(conv.weight.grad, reference.grad, rtol=0.02, atol=0.02 * float(reference.grad.abs().max()))


@pytest.mark.parametrize("encoder", ["mobilenetv2_100", "tf_efficientnet_b0", "convnext_atto", "torchvision_mobilenet_v3_small"])
def test_no_dilated_encoder_has_others(encoder):
    network = make_encoder(encoder, 3, output_stride=16)
    dilated = [
        module
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1 and max(module.dilation) > 1
    ]
    assert dilated
    assert all("DilatedDepthwise" in type(module).__name__ for module in dilated)
    plain = make_encoder(encoder, 3).state_dict()
    assert plain.keys() == network.state_dict().keys()


def test_a_separable_convolution_takes_it_where_it_is_dilated():
    assert type(SeparableConv(4, 4).depthwise) is nn.Conv2d
    assert type(SeparableConv(4, 4, dilation=2).depthwise) is DilatedDepthwise
