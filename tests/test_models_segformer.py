"""SegFormer and its Mix Transformer against segmentation_models_pytorch and the paper's figures; transformers' stands beside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate
from transformers import SegformerConfig, SegformerModel

from intarsia.core.errors import CheckpointError, OptionError
from intarsia.models.encoders.make import make_encoder
from intarsia.models.encoders.mit import MiT, own_key
from intarsia.models.segformer import AllMLP, SegFormer

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

TINY = "mit_8-16-24-32_1-2-1-1_1-2-3-4_4-2-2-1"


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


# --- the reference of segmentation_models_pytorch, whose encoder is the authors' code; on others its head takes stride 2 as well

AUTHORS = (
    (r"^decoder\.mlp_stage\.(\d)\.linear\.", lambda found: f"head.project.{3 - int(found[1])}."),
    (r"^decoder\.fuse_stage\.0\.", "head.fuse."),
    (r"^decoder\.fuse_stage\.1\.", "head.norm."),
    (r"^segmentation_head\.0\.", "classify."),
    (r"^encoder\.patch_embed(\d)\.", lambda found: f"encoder.stages.{int(found[1]) - 1}.patch."),
    (r"\.patch\.proj\.", ".patch."),
    (r"\.patch\.norm\.", ".patch_norm."),
    (r"^encoder\.block(\d)\.", lambda found: f"encoder.stages.{int(found[1]) - 1}.blocks."),
    (r"^encoder\.norm(\d)\.", lambda found: f"encoder.stages.{int(found[1]) - 1}.norm."),
    (r"\.norm1\.", ".attention_norm."),
    (r"\.norm2\.", ".mlp_norm."),
    (r"\.attn\.q\.", ".attention.query."),
    (r"\.attn\.proj\.", ".attention.project."),
    (r"\.attn\.sr\.", ".attention.reduce."),
    (r"\.attn\.norm\.", ".attention.reduce_norm."),
    (r"\.fc1\.", ".expand."),
    (r"\.dwconv\.dwconv\.", ".mix."),
    (r"\.fc2\.", ".contract."),
)


def from_authors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {}
    for key, tensor in state.items():
        for pattern, name in AUTHORS:
            key = re.sub(pattern, name, key)
        if ".attn.kv." in key:
            for name, half in zip(("key", "value"), tensor.chunk(2), strict=True):
                ours[key.replace(".attn.kv.", f".attention.{name}.")] = half
        else:
            ours[key] = tensor.flatten(1) if key == "head.fuse.weight" else tensor
    return ours


def scores(reference: Any, net: SegFormer, images: Tensor) -> tuple[Tensor, Tensor]:
    """Before the last up-sampling; the smp decoder gives size / 4 rounded down, so sizes are multiples of 4."""
    with torch.no_grad():
        return reference.segmentation_head[0](reference.decoder(reference.encoder(net.normalise(images)))), net(images).logits


@pytest.mark.parametrize("size", [(64, 96), (100, 36)])
def test_equals_the_authors(size: tuple[int, int]) -> None:
    reference = randomised(smp.Segformer("mit_b0", encoder_weights=None, classes=5))
    net = SegFormer(5).eval()
    left = net.load_state_dict(from_authors(reference.state_dict()), strict=False)
    assert left.unexpected_keys == []
    assert {key.split(".")[0] for key in left.missing_keys} == {"normalise"}
    expected, logits = scores(reference, net, torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


# --- the paper's figures


@pytest.mark.parametrize(
    ("size", "encoder", "head"),
    [("b0", 3.4, 0.4), ("b1", 13.1, 0.6), ("b2", 24.2, 3.3), ("b3", 44.0, 3.3), ("b4", 60.8, 3.3), ("b5", 81.4, 3.3)],
)
def test_parameters_of_the_paper(size: str, encoder: float, head: float) -> None:
    """Table 1a, in millions, for the 150 classes of ADE20K; for the encoder of B0, which has 3.32, the paper rounds up."""
    with torch.device("meta"):
        net = SegFormer(150, encoder=f"mit_{size}", width=256 if size in ("b0", "b1") else 768)
    counts = [sum(p.numel() for p in module.parameters()) / 1e6 for module in (net.encoder, net)]
    assert counts[0] == pytest.approx(encoder, abs=0.1)
    assert counts[1] - counts[0] == pytest.approx(head, abs=0.15)
    assert counts[1] == pytest.approx(encoder + head, abs=0.1)


# --- the head


def test_head_is_the_long_way_round() -> None:
    """Projected, enlarged, put side by side, then fused, as the paper says."""
    head = randomised(AllMLP((4, 6, 8), 5))
    levels = [torch.randn(2, 4, 9, 13), torch.randn(2, 6, 5, 7), torch.randn(2, 8, 3, 4)]
    enlarged = [
        interpolate(layer(level.movedim(1, -1)).movedim(-1, 1), size=(9, 13), mode="bilinear")
        for layer, level in zip(head.project, levels, strict=True)
    ]
    fused = head.fuse(torch.cat(enlarged[::-1], dim=1).movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(head(levels), head.norm(fused).relu(), rtol=1e-4, atol=1e-5)


# --- encoders


@pytest.mark.parametrize(
    ("encoder", "stride", "levels"),
    [("mobilenetv2_100", 4, 4), ("pvt_v2_b0", 4, 4), ("vit_tiny_patch16_224", 16, 3), ("vgg11", 4, 4)],
)
def test_any_encoder(encoder: str, stride: int, levels: int) -> None:
    net = SegFormer(3, encoder=encoder, width=8).eval()
    assert (net.stride, len(net.head.project)) == (stride, levels)
    for size in ((64, 96), (1, 1)):
        with torch.no_grad():
            assert net(torch.zeros(1, 3, *size, dtype=torch.uint8)).logits.isfinite().all()


def test_mit_sees_position_and_the_whole() -> None:
    """Without position embedding: moved content answers moved, but not alike at the border; one pixel speaks everywhere."""
    net = randomised(MiT(3, (8, 16, 24, 32), (1, 1, 1, 1), (1, 2, 3, 4)))
    image = torch.zeros(1, 3, 64, 64)
    dot = image.clone()
    dot[..., 0, 0] = 5
    with torch.no_grad():
        one, other = net(image), net(dot)
    assert not torch.allclose(one[0][0, :, 0, 0], one[0][0, :, 8, 8], atol=1e-4)
    assert (one[0] - other[0]).abs().amax(dim=1).min() > 0


def test_drop_path_rises_with_depth() -> None:
    net = MiT(3, (8, 16, 24, 32), (1, 2, 1, 1), (1, 2, 3, 4), drop_path=0.2)
    rates = [block.drop_path.drop_prob for stage in net.stages for block in stage.blocks]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    image = torch.randn(1, 3, 32, 32)
    assert any(not torch.equal(net(image)[-1], net(image)[-1]) for _ in range(10))
    net.eval()
    assert torch.equal(net(image)[-1], net(image)[-1])


def test_weights_of_a_file(tmp_path: Path) -> None:
    """Ours and transformers', whole or the encoder alone; gray images take the mean of the colours."""
    config = SegformerConfig(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 2, 1, 1], num_attention_heads=[1, 2, 3, 4], sr_ratios=[4, 2, 2, 1]
    )
    reference = randomised(SegformerModel(config))
    theirs = reference.state_dict()
    image = torch.randn(1, 3, 48, 32)
    with torch.no_grad():
        expected = reference(image, output_hidden_states=True).hidden_states
    files = {
        "encoder": theirs,
        "whole": {**{f"segformer.{key}": tensor for key, tensor in theirs.items()}, "decode_head.classifier.bias": torch.zeros(3)},
        "ours": {own_key(key): tensor for key, tensor in theirs.items()},
    }
    for name, state in files.items():
        save_file(state, tmp_path / f"{name}.safetensors")
        encoder = make_encoder(TINY, 3, str(tmp_path / f"{name}.safetensors")).eval()
        assert encoder.loaded.tensors == len(theirs)
        assert encoder.loaded.left_out == (("decode_head.classifier.bias",) if name == "whole" else ())
        with torch.no_grad():
            torch.testing.assert_close(encoder(image), list(expected), rtol=1e-4, atol=1e-4)
    net = SegFormer(2, 1, encoder=TINY, weights=str(tmp_path / "ours.safetensors"))
    assert net.encoder.stages[0].patch.weight.shape == (8, 1, 7, 7)
    assert "weights" not in net.arguments


def test_keys_are_ours_once() -> None:
    for key in MiT().state_dict():
        assert own_key(key) == key


@pytest.mark.parametrize(
    ("encoder", "text"),
    [
        ("mit_b7", "mit_8-16-24-32_1-1-1-1_1-2-3-4, received mit_b7. Did you mean 'mit_b"),
        ("mit_8-16-24_1-1-1", "encoder: expected mit_b0 to mit_b5, or widths and depths such as"),
        ("mit_8-16-24-32_1-1-1-1", "MiT heads: expected divisors of the widths (8, 16, 24, 32), received (1, 2, 5, 8)"),
    ],
)
def test_wrong_encoders(encoder: str, text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        SegFormer(2, encoder=encoder)


def test_its_own_stride_is_no_dilation() -> None:
    plain, asked = make_encoder(TINY).eval(), make_encoder(TINY, output_stride=32).eval()
    asked.load_state_dict(plain.state_dict())
    torch.testing.assert_close(asked(torch.ones(1, 3, 40, 40)), plain(torch.ones(1, 3, 40, 40)))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match="output_stride of encoder 'mit_b0': expected 32, its own, .* received 8. Pass output_stride=32"
    ):
        make_encoder("mit_b0", output_stride=8)
    with pytest.raises(CheckpointError, match="timm's weights of mit_b0: .* received 'timm', which has no such network"):
        make_encoder("mit_b0", weights="timm")
    with pytest.raises(OptionError, match="MiT: expected four of each"):
        MiT(3, (8, 16), (1, 1))
    save_file({"stages.0.patch.weight": torch.zeros(32, 3, 7, 7)}, tmp_path / "part.safetensors")
    with pytest.raises(CheckpointError, match="received nothing for stages.0.patch.bias"):
        make_encoder("mit_b0", weights=str(tmp_path / "part.safetensors"))
