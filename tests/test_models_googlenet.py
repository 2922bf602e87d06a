"""GoogLeNet as a pyramid: against torchvision's classifier, whose weights it takes over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import GoogLeNet as Classifier

from intarsia.core import Pixels
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.models.encoders.googlenet import GoogLeNet
from intarsia.models.encoders.make import make_encoder
from intarsia.models.fcn import FCN


@pytest.fixture(scope="module")
def reference() -> Any:
    """Torchvision's network, random down to the batch norm's statistics, so that no swap of two tensors goes unseen."""
    torch.manual_seed(0)
    network = Classifier(init_weights=False)  # with the auxiliary heads, as in torchvision's file
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if name.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def file(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "googlenet.safetensors"
    save_file(reference.state_dict(), path)
    return path


@torch.no_grad()
def test_the_deepest_level_is_what_torchvision_classifies(reference: Any, file: Path) -> None:
    encoder = make_encoder("googlenet", weights=str(file)).eval()
    assert re.fullmatch(r"googlenet.safetensors: 285 tensors loaded; left out: aux1.*, aux2.*, fc", str(encoder.loaded))
    pixels = torch.randn(2, 3, 224, 224)
    levels = encoder(pixels)
    torch.testing.assert_close(reference.fc(levels[-1].mean(dim=(2, 3))), reference(pixels), rtol=1e-5, atol=1e-5)
    for level, channels, stride in zip(levels, encoder.channels, encoder.strides, strict=True):
        assert level.shape == (2, channels, 224 // stride, 224 // stride)


def test_every_parameter_of_the_classifier_but_its_heads_is_there(reference: Any) -> None:
    ours = {name: tensor.shape for name, tensor in GoogLeNet().state_dict().items()}
    theirs = {name: tensor.shape for name, tensor in reference.state_dict().items() if not name.startswith(("aux", "fc"))}
    assert ours == theirs


@pytest.mark.parametrize("length", [1, 2, 31, 33, 63, 65, 113])
@torch.no_grad()
def test_odd_sizes_are_rounded_up(length: int) -> None:
    encoder = GoogLeNet().eval()
    assert [level.shape[2] for level in encoder(torch.zeros(1, 3, length, 40))] == [
        -(-length // stride) for stride in encoder.strides
    ]


@torch.no_grad()
def test_the_border_speaks(file: Path) -> None:
    """Torchvision's pools would leave the last row of an odd map out."""
    encoder, pixels = GoogLeNet(weights=str(file)).eval(), torch.zeros(1, 3, 33, 33)
    dark = encoder(pixels)[1]
    pixels[:, :, -1] = 5
    assert not torch.equal(encoder(pixels)[1], dark)


def test_other_channels_and_the_scaling(file: Path) -> None:
    net = FCN(2, 1, encoder="googlenet", weights=str(file), stride=32)
    assert net.encoder.conv1.conv.weight.shape == (64, 1, 7, 7)
    assert net.pixels == Pixels(mean=(0.5,), std=(0.5,))  # x / 127.5 - 1
    net(torch.zeros(2, 1, 64, 64)).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_what_it_cannot_do() -> None:
    with pytest.raises(
        CheckpointError, match="weights of googlenet: expected 'none', or the path .* received 'timm', which has no"
    ):
        make_encoder("googlenet", weights="timm")
    with pytest.raises(
        OptionError, match="output_stride of encoder 'googlenet': expected 32, .* received 8\\. Pass output_stride=32, or"
    ):
        make_encoder("googlenet", output_stride=8)
    with pytest.raises(OptionError, match=r"encoder: expected googlenet, received googlenet_v2\. It comes"):
        make_encoder("googlenet_v2")
