"""Encoder weights: the key map against torchvision, other channels, files that do not fit."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from intarsia.core import Pixels
from intarsia.core.errors import CheckpointError
from intarsia.models.encoders.timm_encoder import TimmEncoder, encoder_pixels
from intarsia.models.unet import UNet

if TYPE_CHECKING:
    from pathlib import Path

ENCODER = "mobilenetv2_100"
LEVELS = (1, 3, 6, 13, 17)  # torchvision's features.N that end at stride 2, 4, 8, 16, 32


@pytest.fixture(scope="module")
def reference() -> Any:
    """Torchvision's network, random down to the batch norm's statistics, so that no swap of two tensors goes unseen."""
    torch.manual_seed(0)
    network = mobilenet_v2().eval()
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if name.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network


@pytest.fixture(scope="module")
def file(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobilenet.safetensors"
    save_file(reference.state_dict(), path)
    return path


def test_torchvision_names_give_torchvision_features(reference: Any, file: Path) -> None:
    encoder = TimmEncoder(ENCODER, weights=str(file)).eval()
    pixels = torch.randn(2, 3, 65, 96)
    with torch.no_grad():
        ours, theirs, features = encoder(pixels), [], pixels
        for index, layer in enumerate(reference.features):
            features = layer(features)
            if index in LEVELS:
                theirs.append(features)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_what_is_left_out_is_named(file: Path) -> None:
    loaded = TimmEncoder(ENCODER, weights=str(file)).loaded
    assert str(loaded) == "mobilenet.safetensors: 255 tensors loaded; left out: classifier.1, features.18"
    assert {name.split(".")[0] for name in loaded.left_out} == {"features", "classifier"}


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "vit_tiny_patch16_224"])
def test_timm_names_match_whatever_the_order(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = timm.create_model(name)
    tensors = {key: tensor.clone() for key, tensor in reversed(whole.state_dict().items())}
    save_file(tensors, tmp_path / "timm.safetensors")
    encoder = TimmEncoder(name, weights=str(tmp_path / "timm.safetensors"))
    ours = encoder.network.state_dict()
    assert encoder.loaded.tensors == sum(not key.endswith("num_batches_tracked") for key in ours)
    for key, tensor in ours.items():
        theirs = tensors.get(key.removeprefix("model."), tensors.get(key.replace("stages_", "stages.").replace("stem_", "stem.")))
        assert torch.equal(tensor, theirs), key
    assert any(left.startswith(("fc", "head")) for left in encoder.loaded.left_out)


def test_half_precision_is_stored_as_float(reference: Any, tmp_path: Path) -> None:
    save_file({key: tensor.half() for key, tensor in reference.state_dict().items()}, tmp_path / "half.safetensors")
    encoder = TimmEncoder(ENCODER, weights=str(tmp_path / "half.safetensors"))
    assert all(parameter.dtype == torch.float32 for parameter in encoder.parameters())


def test_other_channels_see_what_rgb_saw(file: Path) -> None:
    """One channel answers as grey in all three would; six channels as their two equal halves would."""
    with torch.no_grad():
        grey, rgb = torch.randn(1, 1, 32, 32), torch.randn(1, 3, 32, 32)
        three, one, six = (TimmEncoder(ENCODER, channels, str(file)).eval() for channels in (3, 1, 6))
        torch.testing.assert_close(one(grey)[0], three(grey.expand(-1, 3, -1, -1))[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(six(torch.cat([rgb, rgb], dim=1))[0], three(rgb)[0], rtol=1e-4, atol=1e-5)


def spoiled(reference: Any, tmp_path: Path, **changes: torch.Tensor | None) -> str:
    tensors = {key: value.clone() for key, value in reference.state_dict().items()}
    for key, value in changes.items():
        tensors[key] = value
    save_file({key: value for key, value in tensors.items() if value is not None}, tmp_path / "spoiled.safetensors")
    return str(tmp_path / "spoiled.safetensors")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"features.0.0.weight": torch.zeros(8, 3, 3, 3)},
            "conv_stem.weight as (32, 3, 3, 3), received features.0.0.weight as (8, 3, 3, 3). 1 of the encoder's tensors",
        ),
        (
            {"features.4.conv.1.0.weight": None},
            "have no partner in the file: it belongs to another network.",
        ),  # from there on, kinds and shapes are out of step
        ({"features.3.conv.0.1.running_mean": None}, "have no partner in the file: it belongs to another network."),
    ],
)
def test_an_unfit_file(reference: Any, tmp_path: Path, changes: dict[str, torch.Tensor | None], text: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(text)):
        TimmEncoder(ENCODER, weights=spoiled(reference, tmp_path, **changes))


def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x00" * 20)
    for name in ("cut.safetensors", "absent.safetensors"):
        with pytest.raises(
            CheckpointError, match=rf"{name}: expected a readable \.safetensors file .* Other choices are 'none' and 'timm'"
        ):
            UNet(2, encoder=ENCODER, weights=str(tmp_path / name))


def test_a_failed_download_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    text = f"timm's weights of {ENCODER}: expected a download, or a copy in the Hugging Face cache, received no route to host. Pass"
    with pytest.raises(CheckpointError, match=re.escape(text)):
        TimmEncoder(ENCODER, weights="timm")


def test_the_scaling_comes_with_the_weights(reference: Any, file: Path, tmp_path: Path) -> None:
    own = Pixels(low=-1000, high=2000, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    save_file(reference.state_dict(), tmp_path / "own.safetensors", metadata={"pixels": json.dumps(own.to_dict())})
    assert UNet(2, encoder=ENCODER, weights=str(tmp_path / "own.safetensors")).pixels == own
    assert encoder_pixels(ENCODER, str(file)) == Pixels()  # says nothing: ImageNet's
    assert encoder_pixels("vit_tiny_patch16_224", "timm").mean == (0.5, 0.5, 0.5)  # timm's own record
    assert UNet(2, encoder=ENCODER, weights=str(file), pixels=own).pixels == own


@pytest.mark.data
def test_the_imagenet_file(data_dir: Path) -> None:
    path = data_dir.parent / "weights" / "mobilenet_v2_imagenet_features_fp16.safetensors"
    net = UNet(11, encoder=ENCODER, weights=str(path))
    assert str(net.encoder.loaded) == f"{path.name}: 255 tensors loaded; left out: features.18"
    assert net.pixels == Pixels(mean=(0.5,) * 3, std=(0.5,) * 3)  # x / 127.5 - 1
    stem = net.encoder.network.conv_stem.weight
    assert stem.dtype == torch.float32
    assert stem.std() > 0.2  # trained: a fresh one has sqrt(2 / (9 * 32)) = 0.08
