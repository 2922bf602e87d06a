"""UPerNet against segmentation_models_pytorch; transformers' stands in test_pretrained_transformers.py."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from timm.models.maxxvit import MaxxVitTransformerCfg, ParallelPartitionAttention, PartitionAttention2d, PartitionAttentionCl
from timm.models.swin_transformer import SwinTransformerBlock

from intarsia.core import Pixels
from intarsia.core.errors import OptionError
from intarsia.models.blocks.channel_norm import ChannelNorm
from intarsia.models.encoders.contracting import Contracting
from intarsia.models.encoders.make import make_encoder
from intarsia.models.encoders.swin_windows import fill_before_shift
from intarsia.models.segformer import SegFormer
from intarsia.models.upernet import UPerNet


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def randomised(net: Any) -> Any:
    """No vector neutral: biases, scales, running statistics."""
    for key, tensor in net.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.2)
        elif key.endswith("running_var") or (tensor.ndim == 1 and key.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
    return net.eval()


SMP = (
    (r"^encoder\.", "encoder.network."),
    (r"^decoder\.feature_norms\.", "level_norms."),
    (r"^decoder\.psp\.blocks\.(\d)\.1\.", r"pool.levels.\1."),
    (r"^decoder\.psp\.out_conv\.", "bottleneck."),
    (r"^decoder\.fpn_lateral_blocks\.(\d)\.conv_norm_relu\.", lambda found: f"laterals.{2 - int(found[1])}."),
    (r"^decoder\.fpn_conv_blocks\.(\d)\.", lambda found: f"smooth.{2 - int(found[1])}."),
    (r"^decoder\.fusion_block\.", "fuse."),
    (r"^((?:pool\.levels|laterals|smooth)\.\d|bottleneck|fuse)\.0\.", r"\1.conv."),
    (r"^((?:pool\.levels|laterals|smooth)\.\d|bottleneck|fuse)\.1\.", r"\1.norm."),
    (r"^segmentation_head\.0\.", "classify."),
)


def ours(key: str) -> str:
    for pattern, name in SMP:
        key = re.sub(pattern, name, key)
    return key


@pytest.mark.parametrize("size", [(64, 96), (224, 160)])
def test_equals_smp(size: tuple[int, int]) -> None:
    reference = randomised(smp.UPerNet("resnet18", encoder_weights=None, classes=5, decoder_channels=32))
    net = UPerNet(5, encoder="resnet18", width=32, level_norm=True).eval()
    left = net.load_state_dict({ours(key): tensor for key, tensor in reference.state_dict().items()}, strict=False)
    assert left.unexpected_keys == []
    assert {key.split(".")[0] for key in left.missing_keys} == {"normalise"}
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        expected = reference.segmentation_head[0](reference.decoder(reference.encoder(net.normalise(images))))
        logits = net(images).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_auxiliary_head_speaks_in_training_alone() -> None:
    net, images = UPerNet.tiny(5), torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    output = net.train()(images)
    assert [tuple(aux.logits.shape) for aux in output.aux] == [(2, 5, 4, 4)]  # stride 16
    assert net.eval()(images).aux == ()
    silent = UPerNet(5, encoder="test_efficientnet", width=8)
    assert silent(images).aux == ()
    assert not any(key.startswith("auxiliary") for key in silent.state_dict())


def test_one_small_image_trains() -> None:
    """The pool of one bin leaves one value to a channel, which has no variance."""
    output = UPerNet.tiny(3).train()(torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8))
    output.logits.sum().backward()


def test_level_norm() -> None:
    net = UPerNet(2, encoder="test_efficientnet", width=8, level_norm=True)
    assert [tuple(norm.weight.shape) for norm in net.level_norms] == [(24,), (32,), (48,), (64,)]
    features = 3 + 2 * torch.randn(2, 16, 5, 7)
    normed = ChannelNorm(16)(features)
    torch.testing.assert_close(normed.mean(dim=1), torch.zeros(2, 5, 7), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(dim=1, correction=0), torch.ones(2, 5, 7), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("encoder", "stride", "levels"),
    [
        ("mobilenetv2_100", 4, 4),
        ("convnext_atto", 4, 4),
        ("swin_tiny_patch4_window7_224", 4, 4),
        ("mit_b0", 4, 4),
        ("vit_tiny_patch16_224", 16, 3),
    ],
)
def test_any_encoder_at_any_size(encoder: str, stride: int, levels: int) -> None:
    net = UPerNet(3, encoder=encoder, width=8).eval()
    assert (net.stride, len(net.laterals) + 1) == (stride, levels)
    for size in ((65, 99), (1, 1)):
        with torch.no_grad():
            assert net(torch.zeros(1, 3, *size, dtype=torch.uint8)).logits.isfinite().all()


def test_swin_windows_reach_each_other_at_every_level() -> None:
    """Also at the deepest, which in pretraining was one window; and a fill of zeros behind the map is not turned to its front."""
    blocks = [m for m in make_encoder("swin_tiny_patch4_window7_224").modules() if isinstance(m, SwinTransformerBlock)]
    assert [block.shift_size for block in blocks] == [(0, 0), (3, 3)] * 6
    block = blocks[1].eval()
    tokens = torch.randn(1, 9, 9, 96)
    whole = torch.zeros(1, 14, 14, 96)
    whole[:, :9, :9] = tokens
    with torch.no_grad():
        torch.testing.assert_close(block._attn(tokens), block._attn(whole)[:, :9, :9])


@pytest.mark.parametrize("kind", [PartitionAttentionCl, PartitionAttention2d, ParallelPartitionAttention])
def test_maxvit_fills_up_its_windows(kind: Any) -> None:
    """A map of 9x9 in windows of 7x7 is one of 14x14 with zeros behind it; one of whole windows is what it is in timm."""
    options = MaxxVitTransformerCfg(dim_head=8, window_size=(7, 7), grid_size=(7, 7))
    block = randomised(kind(16, cfg=options))
    axes = (2, 3) if kind is PartitionAttention2d else (1, 2)
    features, whole = (torch.randn(1, 16, *size).movedim((2, 3), axes) for size in ((9, 9), (14, 14)))
    with torch.no_grad():
        expected = block._partition_attn(whole)
        fill_before_shift(torch.nn.Sequential(block))
        torch.testing.assert_close(block._partition_attn(whole), expected)
        filled = torch.zeros(1, 16, 14, 14)
        filled[..., :9, :9] = features.movedim(axes, (2, 3))
        expected = block._partition_attn(filled.movedim((2, 3), axes)).movedim(axes, (2, 3))[..., :9, :9]
        torch.testing.assert_close(block._partition_attn(features).movedim(axes, (2, 3)), expected)
        assert expected.std() > 1e-3


def test_refuses_an_encoder_without_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    for network, widths, text in (
        (UPerNet, (4, 8, 16), "strides of encoder 'fine': expected two or more of 4 or coarser, received (1, 2, 4). Name one"),
        (SegFormer, (4, 8), "strides of encoder 'fine': expected one of 4 or coarser, received (1, 2). Name one"),
    ):
        fine = Contracting(3, widths)
        monkeypatch.setattr(sys.modules[network.__module__], "make_encoder", lambda *_, fine=fine: fine)
        with pytest.raises(OptionError, match=re.escape(text)):
            network(2, encoder="fine", pixels=Pixels())
