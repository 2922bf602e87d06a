"""SegNet beyond its family's contract: against the same in torch's own pooling and unpooling, its count, its indices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import max_pool2d, max_unpool2d
from torchvision.models.vgg import make_layers

from intarsia.core.errors import OptionError
from intarsia.models.blocks.unpool import unpool
from intarsia.models.encoders.vgg import STAGES
from intarsia.models.segnet import SegNet

NARROW = (4, 6, 8, 10, 12)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def randomised(network: Any) -> Any:
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if name.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network.eval()


def test_the_papers_parameters() -> None:
    """29.45 M: the 13 convolutions of VGG16-BN and their mirror, the last of them to the 11 classes of CamVid."""
    down = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 2, (256, 512), *[(512, 512)] * 5]
    up = [(after, before) for before, after in down[:0:-1]]
    encoder = sum(9 * before * after + after for before, after in down) + sum(2 * after for _, after in down)
    decoder = sum(9 * before * after + 2 * after for before, after in up)
    with torch.device("meta"):
        net = SegNet(11)
    assert len(up) == 12  # and `classify` mirrors the first
    assert sum(parameter.numel() for parameter in net.encoder.parameters()) == encoder == 14_723_136
    assert sum(parameter.numel() for parameter in net.decoder.parameters()) == decoder
    assert sum(parameter.numel() for parameter in net.parameters()) == encoder + decoder + 9 * 64 * 11 + 11 == 29_445_643
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) == 26
    assert all(conv.kernel_size == (3, 3) for conv in convs)


# -- unpooling ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 1), (1, 4)])
def test_unpooling_is_torchs(size: tuple[int, int]) -> None:
    raw = torch.randn(2, 3, *size)
    pooled, indices = max_pool2d(raw, 2, ceil_mode=True, return_indices=True)
    ours, theirs = pooled.clone().requires_grad_(), pooled.clone().requires_grad_()
    enlarged = unpool(ours, indices, size)
    expected = max_unpool2d(theirs, indices, 2, output_size=size)
    assert torch.equal(enlarged, expected)
    weights = torch.randn_like(enlarged)
    (enlarged * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 3)])
def test_what_was_unpooled_pools_to_itself(size: tuple[int, int]) -> None:
    raw = torch.rand(2, 3, *size) + 0.1
    pooled, indices = max_pool2d(raw, 2, ceil_mode=True, return_indices=True)
    enlarged = unpool(pooled, indices, size)
    again, places = max_pool2d(enlarged, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(again, pooled)
    assert torch.equal(places, indices)
    assert torch.equal(enlarged[enlarged > 0], raw[enlarged > 0])  # every maximum back in its place
    assert (enlarged > 0).sum() == pooled.numel()


@torch.no_grad()
def test_indices_tell_apart_what_pools_alike() -> None:
    """Far from the border, stripes and their inverse pool to the same maxima: only where these stood differs."""
    net = randomised(SegNet(1, 1, widths=NARROW))
    stripes = torch.zeros(1, 1, 128, 128)
    stripes[..., ::2] = 255
    one, other = (net.encoder.pools(net.normalise(image)) for image in (stripes, 255 - stripes))
    assert torch.allclose(one[0].features[..., 20:40, 20:40], other[0].features[..., 20:40, 20:40], atol=1e-6)
    assert not torch.equal(one[0].indices[..., 20:40, 20:40], other[0].indices[..., 20:40, 20:40])
    one, other = (net(image).logits[0, 0, 64, 64] for image in (stripes, 255 - stripes))
    assert abs(one - other) > 1e-3


# -- the whole ---------------------------------------------------------------------------------------------------------------


def test_the_decoder_mirrors_the_encoder() -> None:
    """Table 1 of the paper's code: a stage ends in the width of the next finer one."""
    net = SegNet(7, widths=NARROW)
    stages = [[(block.conv.in_channels, block.conv.out_channels) for block in stage] for stage in reversed(net.decoder)]
    assert stages == [
        [(12, 12), (12, 12), (12, 10)],
        [(10, 10), (10, 10), (10, 8)],
        [(8, 8), (8, 8), (8, 6)],
        [(6, 6), (6, 4)],
        [(4, 4)],
    ]
    assert tuple(net.classify.weight.shape) == (7, 4, 3, 3)


@pytest.mark.parametrize("size", [(64, 96), (45, 67)])
@torch.no_grad()
def test_the_same_in_torchs_modules(size: tuple[int, int]) -> None:
    net = randomised(SegNet(7, widths=NARROW))
    raw = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    features, pools = net.normalise(raw), []
    pool, enlarge = nn.MaxPool2d(2, ceil_mode=True, return_indices=True), nn.MaxUnpool2d(2)
    for layer in net.encoder.features:
        if isinstance(layer, nn.MaxPool2d):
            before = features.shape
            features, indices = pool(features)
            pools.append((indices, before))
        else:
            features = layer(features)
    for stage, (indices, before) in zip(reversed(net.decoder), reversed(pools), strict=True):
        features = enlarge(features, indices, output_size=before)
        for block in stage:
            features = block.norm(block.conv(features)).relu()
    logits = net(raw).logits
    assert logits.shape == (2, 7, *size)
    torch.testing.assert_close(logits, net.classify(features), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("key", ["features.{}", "features_{}"])  # torchvision's and timm's; timm's feature network
def test_loads_the_weights_of_vgg16_bn(key: str, tmp_path: Path) -> None:
    entries: list[Any] = [entry for count, width in zip(STAGES["vgg16"], NARROW, strict=True) for entry in [width] * count + ["M"]]
    reference = randomised(make_layers(entries, batch_norm=True))
    tensors = {key.format(name): tensor for name, tensor in reference.state_dict().items()}
    save_file(tensors | {"classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg16_bn.safetensors")
    net = SegNet(2, 4, weights=str(tmp_path / "vgg16_bn.safetensors"), widths=NARROW)
    assert str(net.encoder.loaded) == "vgg16_bn.safetensors: 78 tensors loaded; left out: classifier.0"
    for name, tensor in net.encoder.features.state_dict().items():
        if name != "0.weight":  # for RGB in the file, for 4 channels here
            assert torch.equal(tensor, reference.state_dict()[name]), name
    assert net.encoder.features[0].weight.shape == (4, 4, 3, 3)


def test_arguments_and_wrong_options() -> None:
    net = SegNet(2, encoder="vgg13", widths=NARROW)
    assert len(net.decoder[2]) == 2
    assert net.arguments["encoder"] == "vgg13"
    assert SegNet(2, encoder="vgg13.tv_in1k", widths=NARROW).encoder.stages == net.encoder.stages
    for options, text in (
        ({"widths": (*NARROW, 16)}, "widths: expected 5 numbers, one for each stage, received (4, 6, 8, 10, 12, 16)"),
        ({"encoder": "resnet18"}, "encoder: expected a VGG, received resnet18. Known: vgg11, vgg11_bn,"),
    ):
        with pytest.raises(OptionError, match=re.escape(text)):
            SegNet(2, **options)
