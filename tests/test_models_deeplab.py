"""DeepLabv3, DeepLabv3+ and the dilated FCN beyond the contract: dilation, parity with segmentation_models.pytorch, options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from intarsia.core.errors import OptionError
from intarsia.models.deeplabv3 import DeepLabV3
from intarsia.models.deeplabv3_plus import DeepLabV3Plus
from intarsia.models.dilated_fcn import DilatedFCN
from intarsia.models.encoders.timm_encoder import TimmEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENCODER = "lcnet_035"
NETWORKS = [DeepLabV3, DeepLabV3Plus, DilatedFCN]


def randomised(network: Any) -> Any:
    """Weights and statistics that leave no two norms alike, so that no swap of two tensors goes unseen."""
    torch.manual_seed(0)
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return network


def translated(state: Mapping[str, torch.Tensor], modules: Mapping[str, str], net: Any) -> Any:
    """`net` with every tensor of a segmentation_models.pytorch network, by our names of its modules."""
    ours = {}
    for key, tensor in state.items():
        module, _, kind = key.rpartition(".")
        ours[f"{modules.get(module, module.replace('encoder.model.', 'encoder.network.'))}.{kind}"] = tensor
    missing, unexpected = net.load_state_dict(ours, strict=False)
    assert not unexpected
    assert all(key.startswith("normalise.") for key in missing)
    return net


def pyramid(prefix: str, separable: bool) -> dict[str, str]:
    """The modules of their ASPP in our words."""
    modules = {f"{prefix}.convs.0.0": "aspp.point.conv", f"{prefix}.convs.0.1": "aspp.point.norm"}
    for rate in range(3):
        theirs, ours = f"{prefix}.convs.{rate + 1}", f"aspp.dilated.{rate}"
        if separable:
            modules |= {f"{theirs}.0.0": f"{ours}.depthwise", f"{theirs}.0.1": f"{ours}.pointwise.conv"}
            modules[f"{theirs}.1"] = f"{ours}.pointwise.norm"
        else:
            modules |= {f"{theirs}.0": f"{ours}.conv", f"{theirs}.1": f"{ours}.norm"}
    return modules | {
        f"{prefix}.convs.4.1": "aspp.image.conv",
        f"{prefix}.convs.4.2": "aspp.image.norm",
        f"{prefix}.project.0": "aspp.project.conv",
        f"{prefix}.project.1": "aspp.project.norm",
        "segmentation_head.0": "classify",
    }


def assert_equal_networks(net: Any, theirs: Any) -> None:
    """Scores in evaluation, and the first convolution's gradient in training."""
    images = torch.randint(0, 256, (3, 3, 96, 128), dtype=torch.uint8)  # of two, pooled to a cell, ours would not take the batch's
    theirs.segmentation_head[1] = torch.nn.Identity()  # their up-sampling; in ours it belongs to loss and decode
    for network in (net, theirs):
        network.eval()
    with torch.no_grad():
        expected = theirs(net.normalise(images))
        torch.testing.assert_close(net(images).logits, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-2
    net.train()(images).logits.square().mean().backward()
    theirs.train()(net.normalise(images)).square().mean().backward()
    expected = theirs.encoder.model.conv_stem.weight.grad
    torch.testing.assert_close(
        net.encoder.network.conv_stem.weight.grad, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
    )


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("separable", [False, True])
def test_v3_equals_smp(stride: int, separable: bool) -> None:
    rates = (1, 2, 3)  # so small that they stay within the map
    theirs = randomised(
        smp.DeepLabV3(
            f"tu-{ENCODER}",
            encoder_weights=None,
            encoder_output_stride=stride,
            decoder_channels=16,
            decoder_atrous_rates=rates,
            decoder_aspp_separable=separable,
            classes=5,
        )
    )
    net = DeepLabV3(5, encoder=ENCODER, output_stride=stride, width=16, rates=rates, separable=separable, dropout=0.0)
    modules = pyramid("decoder.aspp", separable) | {"decoder.conv": "refine.conv", "decoder.bn": "refine.norm"}
    assert_equal_networks(translated(theirs.state_dict(), modules, net), theirs)


@pytest.mark.parametrize("stride", [8, 16])
def test_v3_plus_equals_smp(stride: int) -> None:
    rates = (1, 2, 3)
    theirs = randomised(
        smp.DeepLabV3Plus(
            f"tu-{ENCODER}",
            encoder_weights=None,
            encoder_output_stride=stride,
            decoder_channels=16,
            decoder_atrous_rates=rates,
            classes=5,
        )
    )
    net = DeepLabV3Plus(
        5, encoder=ENCODER, output_stride=stride, width=16, rates=rates, refine=1, fuse=1, dropout=0.0, align_corners=True
    )
    modules = pyramid("decoder.aspp.0", separable=True) | {
        "decoder.aspp.1.0": "refine.0.depthwise",
        "decoder.aspp.1.1": "refine.0.pointwise.conv",
        "decoder.aspp.2": "refine.0.pointwise.norm",
        "decoder.block1.0": "skip.conv",
        "decoder.block1.1": "skip.norm",
        "decoder.block2.0.0": "fuse.0.depthwise",
        "decoder.block2.0.1": "fuse.0.pointwise.conv",
        "decoder.block2.1": "fuse.0.pointwise.norm",
    }
    assert_equal_networks(translated(theirs.state_dict(), modules, net), theirs)
    assert net(torch.zeros(2, 3, 96, 128)).align_corners


@pytest.mark.parametrize("encoder", ["mobilenetv2_100", "resnet18"])
@pytest.mark.parametrize("stride", [8, 16])
def test_dilation_only_fills_in_between(encoder: str, stride: int) -> None:
    """The algorithme a trous: among the cells of the dilated map are those of the plain one, with the same weights."""
    plain, dilated = (randomised(TimmEncoder(encoder, output_stride=wanted)).eval() for wanted in (None, stride))
    dilated.load_state_dict(plain.state_dict())
    assert dilated.strides == tuple(min(stride, wanted) for wanted in plain.strides)
    pixels, every = torch.randn(1, 3, 96, 129), 32 // stride
    with torch.no_grad():
        expected, features = plain(pixels)[-1], dilated(pixels)[-1]
    assert features.shape[2:] == (96 // stride, -(-129 // stride))
    torch.testing.assert_close(features[..., ::every, ::every], expected, rtol=1e-4, atol=1e-5)


def test_weights_files_fit_the_dilated_encoder(tmp_path: Path) -> None:
    path = tmp_path / "mobilenet.safetensors"
    save_file(randomised(mobilenet_v2()).state_dict(), path)
    plain = TimmEncoder("mobilenetv2_100", weights=str(path))
    dilated = DeepLabV3(5, encoder="mobilenetv2_100", weights=str(path), output_stride=8).encoder
    assert dilated.loaded == plain.loaded
    torch.testing.assert_close(dilated.state_dict(), plain.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(("stride", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])])
def test_rates_follow_the_stride(stride: int, rates: list[int]) -> None:
    net = DeepLabV3(2, encoder=ENCODER, output_stride=stride, width=8)
    assert net.arguments["rates"] == rates
    assert [conv.conv.dilation for conv in net.aspp.dilated] == [(rate, rate) for rate in rates]
    assert net.encoder.strides[-1] == stride


@pytest.mark.parametrize(
    ("encoder", "stride", "level", "size"),
    [
        (ENCODER, 16, 1, (17, 25)),
        ("convnext_atto", 16, 0, (17, 25)),  # begins at stride 4
        ("vit_tiny_patch16_224", 16, 0, (5, 7)),  # no dilation, and none is needed; nothing at stride 4
        ("ghostnet_050", 32, 1, (17, 25)),  # as it is
    ],
)
def test_v3_plus_skips_at_stride_4(encoder: str, stride: int, level: int, size: tuple[int, int]) -> None:
    net = DeepLabV3Plus(2, encoder=encoder, output_stride=stride, width=8).eval()
    assert net.skip_level == level
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 65, 97)).logits.shape[2:] == size


@pytest.mark.parametrize("network", NETWORKS)
def test_an_encoder_that_cannot_be_dilated_says_what_can(network: Any) -> None:
    text = (
        "output_stride of encoder 'ghostnet_050': expected 32, its own, because timm cannot dilate it to 8, received 8. "
        "Pass output_stride=32, or name an encoder that can be dilated to 8 or 16: mobilenetv2_100, resnet50."
    )
    with pytest.raises(OptionError, match=re.escape(text)):
        network(2, encoder="ghostnet_050", output_stride=8)


def test_a_level_that_is_not_there() -> None:
    with pytest.raises(
        OptionError, match=re.escape("aux_level: expected None or a level of the encoder, -1 the deepest, up to -5")
    ):
        DeepLabV3(2, encoder=ENCODER, aux_level=5)


@pytest.mark.parametrize("network", [DeepLabV3, DilatedFCN])
def test_the_second_head_speaks_in_training_only(network: Any) -> None:
    net = network(5, encoder=ENCODER, output_stride=8, aux_level=-3)
    images = torch.zeros(2, 3, 64, 96, dtype=torch.uint8)
    aux = net(images).aux
    assert [tuple(dense.logits.shape) for dense in aux] == [(2, 5, 8, 12)]
    assert net.eval()(images).aux == ()
    assert network(5, encoder=ENCODER)(images).aux == ()


@pytest.mark.parametrize("network", NETWORKS)
def test_one_image_can_be_trained_on(network: Any) -> None:
    net = network.tiny(5).train()
    net(torch.randint(0, 256, (1, 3, 40, 56))).logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("stride", [None, 8])
def test_a_small_image_reaches_every_level(stride: int | None) -> None:
    """Of an encoder whose patches an image of 1x1 does not fill."""
    encoder = TimmEncoder("convnext_atto", output_stride=stride).eval()
    with torch.no_grad():
        levels = encoder(torch.zeros(1, 3, 1, 3))
    assert tuple(levels[-1].shape[2:]) == (1, 1)
    assert tuple(levels[0].shape[2:]) == (encoder.strides[-1] // 4,) * 2
