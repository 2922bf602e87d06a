"""The U-Net beyond its family's contract: levels, encoders, options."""

from __future__ import annotations

import re

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from intarsia.core import Dense, Pixels, Queries
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.models.blocks.normalise import Normalise
from intarsia.models.unet import UNet


def logits(net: UNet, *size: int) -> torch.Size:
    with torch.no_grad():
        return net.eval()(torch.zeros(1, net.arguments["in_channels"], *size, dtype=torch.uint8)).logits.shape


def test_classic_widths() -> None:
    net = UNet(2, 1, widths=(4, 8, 16))
    convs = [tuple(conv.weight.shape) for conv in net.modules() if isinstance(conv, torch.nn.Conv2d)]
    assert [shape[:2] for shape in convs] == [
        *((4, 1), (4, 4), (8, 4), (8, 8), (16, 8), (16, 16)),  # the contracting path
        *((4, 8 + 4), (4, 4), (8, 16 + 8), (8, 8)),  # the expanding path, finest first
        (2, 4),
    ]
    assert UNet(2, 1, widths=(4, 8, 16)).arguments["widths"] == [4, 8, 16]
    assert logits(net, 21, 30) == (1, 2, 21, 30)


def test_skips_keep_what_pooling_loses() -> None:
    """Far from the border, stripes and their inverse pool to the same maximum: only the finest skip can tell them apart."""
    torch.manual_seed(0)
    net = UNet(1, 1, widths=(4, 8)).eval()
    stripes = torch.zeros(1, 1, 40, 40)
    stripes[..., ::2] = 255
    one, other = (net(image).logits[0, 0, 20, 20] for image in (stripes, 255 - stripes))
    assert abs(one - other) > 1e-3


@pytest.mark.parametrize(
    ("encoder", "strides", "widths", "multiple"),
    [
        ("mobilenetv2_100", (2, 4, 8, 16, 32), (32, 64, 128, 256), 1),
        ("convnext_atto", (4, 8, 16, 32), (64, 128, 256), 4),  # no stride 2; its patches would leave the border out
        ("vit_tiny_patch16_224", (16, 16, 16), (128, 256), 16),  # no pyramid, made for 224x224
        ("hrnet_w18_small", (2, 4, 8, 16, 32), (32, 64, 128, 256), 32),  # its branches must fit each other
        ("vgg11", (1, 2, 4, 8, 16, 32), (16, 32, 64, 128, 256), 1),
    ],
)
def test_any_encoder_at_any_size(encoder: str, strides: tuple[int, ...], widths: tuple[int, ...], multiple: int) -> None:
    net = UNet(3, encoder=encoder)
    assert net.encoder.strides == strides
    assert tuple(block.convs.first.out_channels for block in net.decoder) == widths
    assert net.encoder.multiple == multiple
    assert all(module.training for module in net.modules())
    size = [-(-length // multiple) * multiple for length in (65, 99)]
    assert logits(net, 65, 99) == (1, 3, *(-(-length // net.stride) for length in size))


def test_arguments_leave_the_weights_out() -> None:
    net = UNet(4, 2, encoder="mobilenetv2_100", pixels=Pixels(high=65535.0), dropout=0.1)
    assert net.arguments == {
        "channels": 4,
        "in_channels": 2,
        "pixels": Pixels(high=65535.0).for_channels(2).to_dict(),
        "encoder": "mobilenetv2_100",
        "widths": None,
        "dropout": 0.1,
        "full_size": False,
        "head_kernel": 1,
    }
    again = UNet(**net.arguments)
    assert again.pixels == net.pixels == Pixels(high=65535.0).for_channels(2)
    assert {name: value.shape for name, value in again.state_dict().items()} == {
        name: value.shape for name, value in net.state_dict().items()
    }


def test_arguments_of_older_checkpoints() -> None:
    """They lack the options that came later; the network and its names are what they were."""
    old = {"channels": 2, "in_channels": 3, "pixels": Pixels().to_dict(), "encoder": "resnet18", "widths": None, "dropout": 0.0}
    names = {name.rpartition(".")[0] for name in UNet(**old).state_dict() if not name.startswith(("encoder", "normalise"))}
    convs = ("first", "first_norm", "second", "second_norm")
    assert names == {"classify", *(f"decoder.{level}.convs.{conv}" for level in range(4) for conv in convs)}


def test_is_smp_s_network_at_full_size() -> None:
    torch.manual_seed(0)
    reference = smp.Unet("tu-resnet18", encoder_weights=None, classes=5).eval()
    for key, tensor in reference.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    net = UNet(5, encoder="resnet18", full_size=True, head_kernel=3).eval()
    convs = {"conv1.0": "first", "conv1.1": "first_norm", "conv2.0": "second", "conv2.1": "second_norm"}
    levels = [*(f"decoder.{3 - level}" for level in range(4)), "enlarge"]

    def ours(key: str) -> str:
        key = re.sub(r"^decoder\.blocks\.(\d)\.(conv\d\.\d)", lambda found: f"{levels[int(found[1])]}.convs.{convs[found[2]]}", key)
        return key.replace("encoder.model.", "encoder.network.").replace("segmentation_head.0.", "classify.")

    state = {ours(key): tensor for key, tensor in reference.state_dict().items()}
    assert set(net.state_dict()) - set(state) == {f"normalise.{name}" for name in ("low", "high", "mean", "std")}
    net.load_state_dict(state, strict=False)
    raw = torch.randint(0, 256, (2, 3, 90, 120), dtype=torch.uint8)
    with torch.no_grad():
        expected, logits = reference(net.normalise(raw)), net(raw).logits
    assert logits.shape == (2, 5, 90, 120)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_full_size_of_what_is_full_already() -> None:
    assert UNet(2, widths=(4, 8), full_size=True).enlarge is None
    assert UNet(2, encoder="vgg11", full_size=True).stride == 1


def test_dropout_only_while_training() -> None:
    net, image = UNet(2, 1, widths=(4, 8), dropout=0.5), torch.zeros(1, 1, 8, 8)
    net.eval()
    assert torch.equal(net(image).logits, net(image).logits)
    net.dropout.train()
    assert any(not torch.equal(net(image).logits, net(image).logits) for _ in range(10))


@torch.no_grad()
def test_windows_of_maxvit_at_any_size() -> None:
    net = UNet(2, encoder="maxvit_pico_rw_256").eval()
    stride = net.stride
    for size in ((120, 90), (33, 50), (1, 1)):
        logits = net(torch.zeros(1, 3, *size)).logits
        assert logits.isfinite().all()
        if min(size) > 32:
            assert abs(logits.shape[2] * stride - size[0]) < 32
            assert abs(logits.shape[3] * stride - size[1]) < 32


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"encoder": "resnet_18"},
            "encoder 'resnet_18': expected a name that timm knows. Did you mean 'resnet18'?",
        ),
        (
            {"encoder": "mobilenetv2_100", "widths": (64, 32)},
            "widths: expected 4 numbers, one for each level of mobilenetv2_100 but the coarsest, received (64, 32). Leave them out "
            "for (32, 64, 128, 256).",
        ),
        ({"widths": ()}, "widths: expected at least one number, finest level first, received ()"),
        ({"weights": "timm"}, "weights: expected an encoder that they belong to, received timm. Name a timm encoder."),
    ],
)
def test_wrong_options(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        UNet(2, **options)


def test_wrong_channels_and_missing_stats() -> None:
    with pytest.raises(InvalidNoun, match=re.escape("images: expected (B, 3, *S), received (1, 4, 8, 8)")):
        UNet.tiny(2)(torch.zeros(1, 4, 8, 8))
    with pytest.raises(InvalidNoun, match=r"stats: expected \(B, C, 2\), .* scaled per image\. Pass Pixels\.stats"):
        Normalise(Pixels("per_image"), 3)(torch.zeros(1, 3, 8, 8))


def test_outputs_are_pytrees() -> None:
    cell = torch.ones(1, 2, 3, 4)
    doubled = tree_map_only(torch.Tensor, lambda leaf: 2 * leaf, Dense(cell, aux=(Dense(cell),), align_corners=True))
    assert doubled.centre is None
    assert doubled.align_corners is True
    assert doubled.aux[0].logits.eq(2).all()
    rows = torch.ones(1, 5, 2)
    queries = Queries(classes=rows, coefficients=rows, prototypes=cell)
    assert sum(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(queries)) == 3
