"""VGG with its pools: against torchvision's and timm's networks, whose weights it takes over, fully connected layers included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import ClassifierHead
from timm.models import vgg as timm_vgg
from torch import nn
from torch.nn.functional import max_pool2d
from torchvision.models import vgg as torchvision_vgg

from intarsia.core.errors import CheckpointError, OptionError
from intarsia.models.encoders.vgg import STAGES, VGG, WIDTHS
from intarsia.models.fcn import FCN

if TYPE_CHECKING:
    from pathlib import Path

NARROW = (4, 6, 8, 10, 12, 16)


def layers(widths: tuple[int, ...] = NARROW, depth: str = "vgg16") -> list[Any]:
    """The list that torchvision and timm make their convolutions from."""
    return [entry for count, width in zip(STAGES[depth], widths, strict=False) for entry in [width] * count + ["M"]]


def randomised(network: Any) -> Any:
    """Down to the batch norm's statistics, so that no swap of two tensors goes unseen."""
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if name.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network.eval()


def torchvisions(norm: bool) -> Any:
    """Torchvision's classifier of 10 classes, narrow: built without memory, then given small layers."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = torchvision_vgg.VGG(nn.Identity(), init_weights=False)
    network.features = torchvision_vgg.make_layers(layers(), batch_norm=norm)
    fully = [nn.Linear(12 * 49, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 10)]
    network.classifier = nn.Sequential(*fully)
    return randomised(network)


def timms(norm: bool) -> Any:
    """The same, as timm spells it."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = timm_vgg.VGG(layers(), num_classes=10, norm_layer=nn.BatchNorm2d if norm else None)
    network.features = torchvision_vgg.make_layers(layers(), batch_norm=norm)
    network.pre_logits = timm_vgg.ConvMlp(12, 16, 7)
    network.head = ClassifierHead(16, 10)
    return randomised(network)


def recast(file: Path, name: str, classes: int, scoring: Any, **options: Any) -> FCN:
    """FCN-32s with a classifier's weights, its scoring layer too."""
    net = FCN(classes, encoder=name, weights=str(file), stride=32, **options).eval()
    score = net.classify.scores[0]
    score.weight = nn.Parameter(scoring.weight.detach()[:, :, None, None])
    score.bias = scoring.bias
    return net


@torch.no_grad()
def assert_is_the_classifier(net: FCN, reference: Any, tolerance: float) -> None:
    """On 224x224 pixels: unpadded, fc6 gives the classifier's one answer; padded, the middle of 7x7 cells gives the same."""
    raw = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    expected = reference(net.normalise(raw))[0]  # (C,)
    assert expected.std() > 0.05
    [deepest] = (net.encoder(net.normalise(raw))[level] for level in net.levels)
    scores = net.classify.scores[0](deepest)[0]  # (C, 7, 7)
    assert scores.shape[1:] == (7, 7)
    torch.testing.assert_close(scores[:, 3, 3], expected, rtol=tolerance, atol=tolerance)
    net.encoder.fc6.padding = (0, 0)
    [deepest] = (net.encoder(net.normalise(raw))[level] for level in net.levels)
    logits = net.classify([deepest], (32, 32))[0]  # (C, 32, 32): the one cell, up-sampled
    torch.testing.assert_close(logits, expected[:, None, None].expand_as(logits), rtol=tolerance, atol=tolerance)


def test_the_whole_network_is_torchvisions_classifier(tmp_path: Path) -> None:
    """Of true shape: 138 million parameters."""
    torch.manual_seed(0)
    reference = torchvision_vgg.vgg16().eval()
    file = tmp_path / "vgg16.safetensors"
    save_file(reference.state_dict(), file)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in VGG("vgg16", widths=WIDTHS).state_dict().items()}
    net = recast(file, "vgg16", 1000, reference.classifier[6])
    file.unlink()  # half a gigabyte, which pytest would keep
    assert str(net.encoder.loaded) == "vgg16.safetensors: 30 tensors loaded; left out: classifier.6"
    assert {name: tensor.shape for name, tensor in net.encoder.state_dict().items()} == shapes
    assert_is_the_classifier(net, reference, 1e-5)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("make", "head"), [(torchvisions, "classifier.6"), (timms, "head.fc")])
def test_a_classifiers_weights_are_carried_over(make: Any, head: str, norm: bool, tmp_path: Path) -> None:
    reference = make(norm)
    file = tmp_path / "vgg.safetensors"
    save_file(reference.state_dict(), file)
    net = recast(file, "vgg16_bn" if norm else "vgg16", 10, reference.get_submodule(head), widths=NARROW)
    assert str(net.encoder.loaded) == f"vgg.safetensors: {82 if norm else 30} tensors loaded; left out: {head}"
    assert_is_the_classifier(net, reference, 1e-5)


@pytest.mark.parametrize("name", ["vgg16_bn", "vgg16_bn.tv_in1k"])
def test_timms_own_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = timms(norm=True)
    monkeypatch.setattr(timm, "create_model", lambda wanted, pretrained: {(name, True): reference}[wanted, pretrained])
    encoder = VGG(name, weights="timm", widths=NARROW)
    assert str(encoder.loaded) == "timm: 82 tensors loaded; left out: head.fc"
    assert torch.equal(encoder.fc6.weight, reference.pre_logits.fc1.weight)


def test_without_a_way_to_timms_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    text = "timm's weights of vgg16: expected a download, or a copy in the Hugging Face cache, received no route to host. Pass"
    with pytest.raises(CheckpointError, match=re.escape(text)):
        VGG("vgg16", weights="timm")


@pytest.mark.parametrize("make", [torchvisions, timms])
@torch.no_grad()
def test_pools_are_those_of_the_reference(make: Any, tmp_path: Path) -> None:
    reference = make(norm=True)
    save_file(reference.state_dict(), tmp_path / "vgg.safetensors")
    encoder = VGG("vgg16_bn", weights=str(tmp_path / "vgg.safetensors"), widths=NARROW[:5]).eval()
    assert "left out: classifier" in str(encoder.loaded) or "left out: head.fc, pre_logits.fc1" in str(encoder.loaded)
    features, expected = torch.randn(2, 3, 64, 96), []
    pixels = features
    for layer in reference.features:
        features = layer(features)
        if isinstance(layer, nn.MaxPool2d):
            expected.append(features)
    pools = encoder.pools(pixels)
    torch.testing.assert_close([pool.features for pool in pools], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoder(pixels), expected, rtol=1e-5, atol=1e-5)
    assert [pool.size for pool in pools] == [(64, 96), (32, 48), (16, 24), (8, 12), (4, 6)]


@pytest.mark.parametrize("name", ["vgg11", "vgg13_bn", "vgg16", "vgg19_bn"])
def test_the_depths_of_table_1(name: str) -> None:
    with torch.device("meta"):
        reference, ours = timm.create_model(name, features_only=True), VGG(name).state_dict()
    assert {key: tensor.shape for key, tensor in ours.items()} == {
        key.replace("features_", "features."): tensor.shape for key, tensor in reference.state_dict().items()
    }


def test_odd_sizes_are_rounded_up() -> None:
    encoder = VGG(widths=NARROW[:5])
    for length in (1, 2, 31, 33, 65):
        pools = encoder.pools(torch.zeros(1, 3, length, 7))
        assert [pool.features.shape[2] for pool in pools] == [-(-length // stride) for stride in encoder.strides]
    raw = torch.rand(1, 1, 5, 5)
    pooled, indices = max_pool2d(raw, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(raw.flatten()[indices], pooled)  # a border cell has its place too


def test_other_channels_and_dropout() -> None:
    assert VGG(in_channels=1, widths=NARROW[:5]).features[0].weight.shape == (4, 1, 3, 3)
    encoder, pixels = VGG(widths=NARROW, dropout=0.5), torch.randn(1, 3, 64, 64)
    assert any(not torch.equal(encoder(pixels)[-1], encoder(pixels)[-1]) for _ in range(5))
    encoder.eval()
    assert torch.equal(encoder(pixels)[-1], encoder(pixels)[-1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "vgg17"}, "encoder: expected a VGG, received vgg17. Did you mean 'vgg1"),
        ({"name": "vgg16_gn"}, "encoder: expected a VGG, received vgg16_gn. Did you mean 'vgg16_bn'?"),
        (
            {"widths": (4, 8)},
            "widths: expected 5 numbers, one for each stage, or 6 with the fully connected layers, received (4, 8)",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        VGG(**options)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    reference = torchvisions(norm=False)
    save_file({f"features.{name}": tensor for name, tensor in reference.features.state_dict().items()}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"fc6.weight as \(16, 12, 7, 7\), received nothing for fc6.weight"):
        VGG(weights=str(tmp_path / "a.safetensors"), widths=NARROW)
    with pytest.raises(
        CheckpointError, match=r"features.0.weight as \(64, 3, 3, 3\), received features.0.weight as \(4, 3, 3, 3\)"
    ):
        VGG(weights=str(tmp_path / "a.safetensors"))
