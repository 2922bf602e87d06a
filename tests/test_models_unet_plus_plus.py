"""U-Net++ beyond its family's contract: the dense skips, segmentation_models.pytorch's network, the paper's size."""

from __future__ import annotations

import re

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from intarsia.core.errors import OptionError
from intarsia.models.unet_plus_plus import CLASSIC, UNetPlusPlus


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def shuffled(network: nn.Module) -> nn.Module:
    """Random down to the batch norm's statistics, so that no swap of two tensors goes unseen."""
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network.eval()


def smp_weights(reference: nn.Module, levels: int) -> dict[str, torch.Tensor]:
    """SMP's tensors under our names: x_{d}_{l} is the node of column l - d + 1 and, counted from the coarsest, of level l."""

    convs = {"conv1.0": "first", "conv1.1": "first_norm", "conv2.0": "second", "conv2.1": "second_norm"}

    def place(match: re.Match[str]) -> str:
        depth, level, conv = int(match[1]), int(match[2]), convs[match[3]]
        return f"enlarge.convs.{conv}" if level == levels else f"columns.{level - depth}.{levels - 1 - level}.convs.{conv}"

    def ours(key: str) -> str:
        key = re.sub(r"^decoder\.blocks\.x_(\d)_(\d)\.(conv\d\.\d)", place, key)
        return key.replace("encoder.model.", "encoder.network.").replace("segmentation_head.0.", "classify.0.")

    return {ours(key): tensor for key, tensor in reference.state_dict().items()}


def test_is_smp_s_network() -> None:
    reference = shuffled(
        smp.UnetPlusPlus("tu-test_resnet.r160_in1k", encoder_weights=None, classes=5, decoder_channels=(48, 40, 32, 24, 16))
    )
    net = UNetPlusPlus(
        5, encoder="test_resnet.r160_in1k", widths=(16, 24, 32, 40, 48), deep_supervision=False, full_size=True, head_kernel=3
    )
    state = smp_weights(reference, levels=4)
    assert set(net.state_dict()) - set(state) == {f"normalise.{name}" for name in ("low", "high", "mean", "std")}
    net.load_state_dict(state, strict=False)
    raw = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        expected = reference(net.normalise(raw))
        logits = net.eval()(raw).logits
    assert logits.shape == (2, 5, 64, 96)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_the_paper_s_size() -> None:
    """9.04 M parameters (table 2) with biases, one head and 2x2 up-convolutions that halve the channels; ours have neither."""
    convs = [module for module in UNetPlusPlus(1, deep_supervision=False).modules() if isinstance(module, nn.Conv2d)]
    total = sum(conv.weight.numel() + conv.out_channels for conv in convs)
    for own, deeper, nodes in zip(CLASSIC, CLASSIC[1:], (4, 3, 2, 1), strict=False):
        total += nodes * (4 * deeper * own + own - 9 * (deeper - own) * own)
    assert round(total / 1e6, 2) == 9.04


def test_every_node_sees_all_before_it() -> None:
    net = UNetPlusPlus(2, widths=(4, 8, 16, 32))
    inputs = [[block.convs.first.in_channels for block in column] for column in net.columns]
    assert inputs == [[4 + 8, 8 + 16, 16 + 32], [2 * 4 + 8, 2 * 8 + 16], [3 * 4 + 8]]


@pytest.mark.parametrize(("encoder", "full", "size"), [("mobilenetv2_100", False, (33, 50)), ("convnext_atto", True, (65, 99))])
def test_any_encoder(encoder: str, full: bool, size: tuple[int, int]) -> None:
    net = UNetPlusPlus(3, encoder=encoder, full_size=full)
    output = net.train()(torch.zeros(2, 3, *size, dtype=torch.uint8))
    assert output.logits.shape[2:] == tuple(size if full else (-(-length // 2) for length in size))
    assert len(output.aux) == len(net.encoder.channels) - 2
    assert len({aux.logits.shape for aux in output.aux}) == 1


def test_depth_is_supervised_in_training_alone() -> None:
    net, image = UNetPlusPlus.tiny(2), torch.zeros(2, 3, 16, 16)
    assert [aux.logits.shape for aux in net.train()(image).aux] == [(2, 2, 16, 16)] * 2
    assert not net.eval()(image).aux
    assert not UNetPlusPlus(2, widths=(4, 8, 16), deep_supervision=False).train()(image).aux


def test_wrong_widths() -> None:
    text = "widths: expected 5 numbers, one for each level of resnet18 but the coarsest, and the full size, received (8,)"
    with pytest.raises(OptionError, match=re.escape(text)):
        UNetPlusPlus(2, encoder="resnet18", widths=(8,), full_size=True)
