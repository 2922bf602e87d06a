"""Torchvision's segmentation networks, drawn at random in their true shape, and ours translated from them."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
import torch
import torchvision.models.segmentation as torchvision_networks
from torch.nn.functional import interpolate

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.core.pixels import Pixels
from intarsia.models.encoders.make import make_encoder
from intarsia.models.pretrained.converted import Converted
from intarsia.models.pretrained.from_torchvision import NETWORKS, convert

SIZE = (65, 97)


def reference(name: str, classes: int = 21, **options: Any) -> Any:
    """Torchvision's network, random down to the batch norm's statistics, so that no swap of two tensors goes unseen."""
    torch.manual_seed(0)
    network = getattr(torchvision_networks, name)(weights=None, weights_backbone=None, num_classes=classes, **options).eval()
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.0) if key.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network


def ours(converted: Converted) -> Any:
    net = find("models", converted.model)(len(converted.names), pixels=converted.pixels, **converted.arguments)
    net.load_state_dict(converted.state)
    return net.eval()


def enlarged(logits: torch.Tensor) -> torch.Tensor:
    return interpolate(logits, size=SIZE, mode="bilinear", align_corners=False)


def convolutions(network: Any) -> Counter[str]:
    return Counter(
        str(module).replace("DilatedDepthwise", "Conv2d") for module in network.modules() if isinstance(module, torch.nn.Conv2d)
    )


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_outputs(name: str, images: torch.Tensor) -> None:
    theirs = reference(name)
    converted = convert(name, theirs.state_dict())
    net = ours(converted)
    with torch.no_grad():
        expected = theirs(net.normalise(images))["out"]
        output = net(images)
    assert not output.align_corners
    assert expected.std() > 1e-2
    torch.testing.assert_close(enlarged(output.logits), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert convolutions(net) == convolutions(theirs)  # also dilations that reach beyond so small a map


@pytest.mark.parametrize("name", [name for name in NETWORKS if "101" not in name and not name.startswith("lraspp")])
def test_equal_auxiliary_outputs(name: str, images: torch.Tensor) -> None:
    theirs = reference(name, classes=4, aux_loss=True)
    converted = convert(name, theirs.state_dict())
    net = ours(converted)
    assert converted.names == ("class0", "class1", "class2", "class3")
    for module in (*net.modules(), *theirs.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    net.training = True  # the heads of training, the statistics of evaluation
    with torch.no_grad():
        expected = theirs(net.normalise(images))
        output = net(images)
    for ours_, theirs_ in ((output.logits, expected["out"]), (output.aux[0].logits, expected["aux"])):
        torch.testing.assert_close(enlarged(ours_), theirs_, rtol=1e-4, atol=1e-4 * float(theirs_.abs().max()))


def test_equal_gradients(images: torch.Tensor) -> None:
    """In training mode, of a batch of two, through every norm and the whole backbone."""
    theirs = reference("lraspp_mobilenet_v3_large", classes=3)
    net = ours(convert("lraspp_mobilenet_v3_large", theirs.state_dict())).train()
    theirs.train()
    pair = torch.cat([images, images.flip(3)])
    for module in (*net.modules(), *theirs.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    enlarged(net(pair).logits).square().mean().backward()
    theirs(net.normalise(pair))["out"].square().mean().backward()
    expected = theirs.backbone["0"][0].weight.grad
    torch.testing.assert_close(net.encoder.features[0][0].weight.grad, expected, rtol=1e-2, atol=1e-3 * float(expected.abs().max()))


def test_what_comes_along() -> None:
    converted = convert("lraspp_mobilenet_v3_large", reference("lraspp_mobilenet_v3_large").state_dict())
    assert converted.names[:3] == ("__background__", "aeroplane", "bicycle")
    assert len(converted.names) == 21
    assert converted.pixels == Pixels()
    assert converted.size == (520, 520)
    assert converted.source == "torchvision:lraspp_mobilenet_v3_large"
    assert (converted.licences.code, converted.licences.weights) == ("Apache-2.0", "BSD-3-Clause; the data may add terms")
    assert "ImageNet-1k" in converted.licences.data
    assert json.loads(json.dumps(converted.arguments)) == converted.arguments


def test_half_precision_and_old_files() -> None:
    """Weights come in our dtype, and the counters of batch norms need not be in the file."""
    state = {
        key: tensor.half()
        for key, tensor in reference("lraspp_mobilenet_v3_large").state_dict().items()
        if "num_batches" not in key
    }
    converted = convert("lraspp_mobilenet_v3_large", state)
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in converted.state.values())
    ours(converted)


def test_what_does_not_fit_is_named() -> None:
    name = "lraspp_mobilenet_v3_large"
    state = reference(name).state_dict()

    def refused(text: str, **changed: torch.Tensor | None) -> None:
        other = {key: tensor for key, tensor in (state | changed).items() if tensor is not None}
        with pytest.raises(CheckpointError, match=re.escape(text)):
            convert(name, other)

    refused("1 without a place: extra.weight. They are of another network", **{"extra.weight": torch.ones(1)})
    refused("1 of another shape: classifier.scale.1.weight", **{"classifier.scale.1.weight": torch.ones(1)})
    refused("1 missing: weigh.weight", **{"classifier.scale.1.weight": None})
    refused(
        f"expected a tensor classifier.low_classifier.weight, received {len(state) - 1} others, such as backbone",
        **{"classifier.low_classifier.weight": None},
    )


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_encoder_takes_other_channels_and_sizes(size: str) -> None:
    name = f"torchvision_mobilenet_v3_{size}"
    for stride in (None, 16, 32):
        net = make_encoder(name, 4, output_stride=stride).eval()
        with torch.no_grad():
            levels = net(torch.zeros(1, 4, 65, 97))
        assert net.channels == tuple(level.shape[1] for level in levels)
        assert [tuple(level.shape[2:]) for level in levels] == [tuple(-(-n // stride) for n in SIZE) for stride in net.strides]


def test_the_encoder_says_what_it_cannot() -> None:
    name = "torchvision_mobilenet_v3_large"
    with pytest.raises(OptionError, match=re.escape(f"output_stride of encoder '{name}': expected 16 or 32, received 8")):
        make_encoder(name, output_stride=8)
    with pytest.raises(OptionError, match=re.escape(f"Did you mean '{name}'?")):
        make_encoder(name[:-1])
    with pytest.raises(CheckpointError, match=re.escape("received timm. timm has weights for mobilenetv3_large_100.")):
        make_encoder(name, weights="timm")
