"""Encoder weights: the key map against torchvision, other channels, files that do not fit."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import efficientnet_v2_s, mobilenet_v2, mobilenet_v3_large

from intarsia.core import Pixels
from intarsia.core.errors import CheckpointError, OptionError
from intarsia.core.licences import IMAGENET
from intarsia.models.encoders import weights as weights_module
from intarsia.models.encoders.licence import encoder_data, encoder_licence
from intarsia.models.encoders.make import encoder_pixels, make_encoder
from intarsia.models.encoders.timm_encoder import TimmEncoder
from intarsia.models.encoders.vgg import VGG
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


@pytest.mark.parametrize(
    ("encoder", "build"), [("mobilenetv3_large_100", mobilenet_v3_large), ("efficientnetv2_rw_s", efficientnet_v2_s)]
)
def test_twins_that_are_not_equal_are_refused(encoder: str, build: Any, tmp_path: Path) -> None:
    """Kinds and shapes may pair in order; the epsilons of their norms differ a hundredfold."""
    save_file(build().state_dict(), tmp_path / "theirs.safetensors")
    with pytest.raises(CheckpointError, match=r"not timm's to the last number: name .* torchvision_mobilenet_v3_large or"):
        TimmEncoder(encoder, weights=str(tmp_path / "theirs.safetensors"))


@pytest.mark.parametrize(("encoder", "width"), [("mobilenetv2_050", 0.5), ("mobilenetv2_140", 1.4)])
def test_other_widths_in_order(encoder: str, width: float, tmp_path: Path) -> None:
    theirs = mobilenet_v2(width_mult=width).eval()
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = TimmEncoder(encoder, weights=str(tmp_path / "theirs.safetensors")).eval()
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(pixels)[-1], theirs.features[:18](pixels), rtol=1e-5, atol=1e-5)


def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x00" * 20)
    (tmp_path / "cut.pth").write_bytes(b"\x00" * 20)
    for pixels in (None, Pixels()):  # which says where it is read first
        for name, text in (
            ("cut.safetensors", "expected tensors by name in a .safetensors file"),
            ("cut.pth", "expected tensors by name in a .safetensors file or a .pth file"),
            ("absent.safetensors", "expected a file of weights, received no such file"),
            ("absent.pth", "expected a file of weights, received no such file"),
        ):
            with pytest.raises(CheckpointError, match=rf"{name}: {text}.* Encoder weights may also be 'none' or 'timm'"):
                UNet(2, encoder=ENCODER, weights=str(tmp_path / name), pixels=pixels)


@pytest.mark.parametrize("name", ["resnet18", "mit_8-16-24-32_1-1-1-1_1-2-3-4", "googlenet", ENCODER])
def test_a_pth_file_is_as_good(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = make_encoder(name).state_dict()
    plain = {key.removeprefix("network."): tensor for key, tensor in state.items()}
    torch.save(plain, tmp_path / "x.pth")
    torch.save({"model": plain, "epoch": 3}, tmp_path / "train.pth")
    for file in ("x.pth", "train.pth"):
        loaded = make_encoder(name, weights=str(tmp_path / file)).state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())
    assert encoder_licence(name, str(tmp_path / "x.pth")) == "unknown"


def test_vgg_as_torchvision_ships_it(tmp_path: Path) -> None:
    narrow = (2, 2, 4, 4, 4)
    state = VGG("vgg11", widths=narrow).state_dict()
    torch.save(
        state | {"classifier.6.weight": torch.zeros(1)}, tmp_path / "vgg11-8a719046.pth", _use_new_zipfile_serialization=False
    )
    encoder = VGG("vgg11", weights=str(tmp_path / "vgg11-8a719046.pth"), widths=narrow)
    assert all(torch.equal(encoder.state_dict()[key], tensor) for key, tensor in state.items())
    assert str(encoder.loaded) == "vgg11-8a719046.pth: 16 tensors loaded; left out: classifier.6"


def test_what_a_file_says_is_read_without_its_tensors(reference: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no file is hashed that says it itself, or has not the size of a known one."""
    said = {"pixels": json.dumps(Pixels().to_dict()), "license": "mit", "data": "CC0-1.0"}
    save_file(reference.state_dict(), tmp_path / "said.safetensors", metadata=said)
    save_file(reference.state_dict(), tmp_path / "silent.safetensors")
    for name in ("load_file", "hashlib"):
        monkeypatch.delattr(weights_module, name)
    files = [str(tmp_path / f"{name}.safetensors") for name in ("said", "silent")]
    assert [encoder_pixels(ENCODER, file) for file in files] == [Pixels()] * 2
    assert [encoder_licence(ENCODER, file) for file in files] == ["MIT", "unknown"]
    assert [encoder_data(ENCODER, file) for file in files] == ["CC0-1.0", "unknown"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("resnet18", IMAGENET),
        ("convnext_tiny.in12k_ft_in1k", f"ImageNet-12k terms (non-commercial research); {IMAGENET}"),
        ("convnext_tiny.fb_in22k", "ImageNet-21k terms (non-commercial research)"),
        ("resnet18.fb_ssl_yfcc100m_ft_in1k", f"unknown; {IMAGENET}"),
        ("mit_b0", "unknown"),
    ],
)
def test_the_data_of_timms_weights_is_told_by_their_tag(name: str, data: str) -> None:
    assert encoder_data(name, "timm") == data
    assert encoder_data(name, "none") == "none"


def test_an_encoder_file_brings_its_own_scaling() -> None:
    assert encoder_pixels("googlenet", "none") == Pixels(mean=(0.5,) * 3, std=(0.5,) * 3)
    assert encoder_pixels("mit_b0", "none") == encoder_pixels("torchvision_mobilenet_v3_large", "none") == Pixels()


def test_a_tag_that_timm_lacks_is_told_with_the_nearest() -> None:
    text = re.escape("encoder 'resnet18.a1_in2k': expected a tag of weights that timm has. Did you mean 'resnet18.a1_in1k'?")
    for ask in (
        lambda name: UNet(2, encoder=name),
        lambda name: encoder_pixels(name, "none"),
        lambda name: encoder_licence(name, "timm"),
        lambda name: TimmEncoder(name, output_stride=8),
    ):
        with pytest.raises(OptionError, match=text):
            ask("resnet18.a1_in2k")


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
    assert encoder_data(ENCODER, str(path)) == IMAGENET
