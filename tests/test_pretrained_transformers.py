"""SegFormer and UPerNet of transformers, random but of true shape, against what they become here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch.nn.functional import interpolate

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError
from intarsia.models.pretrained.converted import Converted
from intarsia.models.pretrained.from_transformers import convert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

MEAN, STD = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def randomised(reference: nn.Module) -> Any:
    """No bias at zero, no scale at one or near zero, no neutral statistics: each tensor in the wrong place would show."""
    torch.manual_seed(0)
    for name, tensor in reference.state_dict().items():
        if "relative_position_bias_table" in name:
            tensor.normal_(0, 1)
        elif name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.2)
        elif name.endswith("running_var") or "layer_scale" in name or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
    return reference.eval()


def segformer(**config: Any) -> Any:
    return randomised(transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=7, **config)))


TINY = {
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 2, 1, 2],
    "num_attention_heads": [1, 2, 3, 2],
    "sr_ratios": [4, 2, 2, 1],
    "mlp_ratios": [2, 3, 4, 2],
    "decoder_hidden_size": 12,
}
STAGES = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
CONVNEXT = transformers.ConvNextConfig(depths=[2, 2, 6, 2], hidden_sizes=[40, 80, 160, 320], **STAGES)
SWIN = transformers.SwinConfig(**STAGES)


def upernet(backbone: Any, middle: int) -> Any:
    return randomised(
        transformers.UperNetForSemanticSegmentation(
            transformers.UperNetConfig(
                backbone_config=backbone, hidden_size=16, auxiliary_channels=8, auxiliary_in_channels=middle, num_labels=7
            )
        )
    )


@pytest.fixture(scope="module")
def on_convnext() -> Any:
    return upernet(CONVNEXT, 160)


@pytest.fixture(scope="module")
def on_convnext_tiny() -> Any:
    return upernet(transformers.ConvNextConfig(hidden_sizes=[96, 192, 384, 768], **STAGES), 384)


@pytest.fixture(scope="module")
def on_swin() -> Any:
    return upernet(SWIN, 384)


def as_saved(reference: Any, folder: Path) -> dict[str, Tensor]:
    """The names that stand in files: release 5 has others in memory."""
    reference.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def ours(converted: Converted) -> Any:
    net = find("models", converted.model)(len(converted.names), pixels=converted.pixels, **converted.arguments)
    net.load_state_dict(converted.state)
    return net.eval()


def assert_equal(reference: Any, net: Any, *size: int) -> None:
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        expected = reference((images / 255 - MEAN) / STD).logits
        logits = net(images).logits
    if expected.shape[2:] == size:
        logits = interpolate(logits, size=size, mode="bilinear", align_corners=False)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (70, 45)])
def test_segformer_of_any_shape(size: tuple[int, int], tmp_path: Path) -> None:
    reference = segformer(**TINY)
    converted = convert(reference.config.to_dict(), as_saved(reference, tmp_path))
    assert converted.arguments["encoder"] == "mit_8-16-24-32_1-2-1-2_1-2-3-2_4-2-2-1_2-3-4-2"
    assert_equal(reference, ours(converted), *size)


def test_segformer_b0_from_memory() -> None:
    reference = segformer()
    converted = convert(reference.config.to_dict(), reference.state_dict(), "hf:nvidia/segformer-b0-finetuned-ade-512-512")
    assert converted.arguments == {"encoder": "mit_b0", "width": 256, "dropout": 0.1}
    net = ours(converted)
    assert_equal(reference, net, 96, 128)
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in reference.parameters())


@pytest.mark.parametrize(
    ("name", "encoder", "size"),
    [
        ("on_convnext", "convnext_atto", (64, 96)),
        ("on_convnext_tiny", "convnext_tiny", (96, 64)),
        ("on_swin", "swin_tiny_patch4_window7_224", (260, 132)),
    ],
)
def test_upernet(name: str, encoder: str, size: tuple[int, int], request: Any, tmp_path: Path) -> None:
    """The Swin's levels are no multiples of its windows, so they are padded; its deepest is smaller than one."""
    reference = request.getfixturevalue(name)
    for state in (as_saved(reference, tmp_path), reference.state_dict()):
        converted = convert(reference.config.to_dict(), state)
        assert converted.arguments["encoder"] == encoder
    net = ours(converted)
    assert_equal(reference, net, *size)
    norms = sum(p.numel() for key, p in reference.named_parameters() if "swin.layernorm" in key)
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in reference.parameters()) - norms


def test_auxiliary_head(on_convnext: Any) -> None:
    net = ours(convert(on_convnext.config.to_dict(), on_convnext.state_dict()))
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    assert net(images).aux == ()
    net.training = True  # itself alone: its norms and dropouts stay as they are
    with torch.no_grad():
        expected = on_convnext.auxiliary_head(on_convnext.backbone((images / 255 - MEAN) / STD).feature_maps)
        torch.testing.assert_close(net(images).aux[0].logits, expected, rtol=1e-4, atol=1e-4)


def test_swin_as_an_older_file_has_it(on_swin: Any, tmp_path: Path) -> None:
    """Without the prefix `swin`, with the table of positions."""
    state = {key.replace("backbone.swin.", "backbone."): tensor for key, tensor in as_saved(on_swin, tmp_path).items()}
    state["backbone.encoder.layers.0.blocks.0.attention.self.relative_position_index"] = torch.zeros(49, 49)
    new, old = (convert(on_swin.config.to_dict(), each).state for each in (on_swin.state_dict(), state))
    assert all(torch.equal(new[key], old[key]) for key in {*new, *old})


# --- what is told of them


def plain() -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    reference = segformer(**TINY)
    return reference.config.to_dict(), reference.state_dict()


def test_names() -> None:
    config, state = plain()
    labels = {str(index): name for index, name in enumerate(["wall", "road", "door", "wall", "sky", "sea", "bed"])}  # JSON: str
    assert convert({**config, "id2label": labels}, state).names == ("wall", "road", "door", "wall (3)", "sky", "sea", "bed")
    assert convert({key: value for key, value in config.items() if key != "id2label"}, state).names[:2] == ("class0", "class1")


@pytest.mark.parametrize(
    ("source", "size", "weights", "data", "commercial"),
    [
        (
            "hf:nvidia/segformer-b0-finetuned-ade-512-512",
            (512, 512),
            "NVIDIA Source Code License (non-commercial)",
            "ADE20K",
            False,
        ),
        ("nvidia/segformer-b1-finetuned-cityscapes-640-1280", (640, 1280), "NVIDIA", "Cityscapes", False),
        ("hf:openmmlab/upernet-convnext-tiny", (512, 512), "unknown", "ADE20K", False),
        ("hf:someone/segformer-ade", (512, 512), "unknown", "unknown", False),
    ],
)
def test_source_tells(source: str, size: tuple[int, int], weights: str, data: str, commercial: bool) -> None:
    converted = convert(*plain(), source)
    assert converted.source == source
    assert converted.size == size
    assert converted.licences.weights.startswith(weights)
    assert converted.licences.data.startswith(data)
    assert converted.licences.commercial is commercial


# --- what is refused


def test_no_tensor_is_passed_over() -> None:
    config, state = plain()
    key = next(name for name in state if re.search(r"0\.0\.attention.*key\.bias|stages\.0.*0\.attention\.k_proj\.bias", name))
    less = {name: tensor for name, tensor in state.items() if name != key}
    for given, text in (
        (less, "1 missing: encoder.stages.0.blocks.0.attention.key.bias"),
        ({**state, "segformer.stages.9.more": torch.zeros(1)}, "1 without a place: encoder.stages.9.more"),
        ({**state, key: torch.zeros(3)}, "1 of another shape: encoder.stages.0.blocks.0.attention.key.bias"),
    ):
        with pytest.raises(CheckpointError, match=re.escape(text)):
            convert(config, given)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"model_type": "maskformer"},
            "hf:a/b: expected a model_type of segformer or upernet or mask2former or eomt, received maskformer",
        ),
        ({"patch_sizes": [3, 3, 3, 3]}, "hf:a/b, patch_sizes in its config: expected [7, 3, 3, 3], received [3, 3, 3, 3]"),
        ({"id2label": {0: "sky"}}, "hf:a/b: expected id2label with 0 to 6, as there are channels, received 1 labels"),
        ({"hidden_sizes": [8, 16, 24, 64]}, "of another shape: encoder.stages.3.patch.weight"),
        (
            {"model_type": "upernet"},
            "hf:a/b: expected a backbone of convnext or swin, received none in its config. To train one like it",
        ),
    ],
)
def test_what_has_no_counterpart(change: dict[str, Any], text: str) -> None:
    config, state = plain()
    with pytest.raises(CheckpointError, match=re.escape(text)):
        convert({**config, **change}, state, "hf:a/b")


def test_no_scores() -> None:
    config, state = plain()
    encoder = {key: tensor for key, tensor in state.items() if key.startswith("segformer.")}
    with pytest.raises(CheckpointError, match=r"expected a tensor decode_head\.classifier\.weight, received \d+ others"):
        convert(config, encoder)


def test_unknown_backbone(on_convnext: Any) -> None:
    config = on_convnext.config.to_dict()
    for change, text in (
        (
            {"depths": [1, 1, 1, 1]},
            "its convnext: expected one that timm has, received ((1, 1, 1, 1), (40, 80, 160, 320)). Known: convnext_atto ",
        ),
        ({"model_type": "resnet"}, "expected a backbone of convnext or swin, received resnet"),
        ({"out_features": ["stage3", "stage4"]}, "out_features in its config: expected ['stage1'"),
    ):
        changed = {**config, "backbone_config": {**config["backbone_config"], **change}}
        with pytest.raises(CheckpointError, match=re.escape(text)):
            convert(changed, on_convnext.state_dict())
