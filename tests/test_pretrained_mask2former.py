"""Mask2Former of transformers, random but of true shape, against what it becomes here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError
from intarsia.models.pretrained._told_by_name import STUFF, told_by_name
from intarsia.models.pretrained.from_transformers import convert

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.models.pretrained.converted import Converted

MEAN, STD = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
STAGES = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
SMALL = {"decoder_layers": 5, "encoder_layers": 2, "num_queries": 9, "dim_feedforward": 48, "encoder_feedforward_dim": 32}
RESNET = transformers.ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], **STAGES)


def mask2former(backbone: Any) -> Any:
    """No tensor at zero or one: each in the wrong place would show."""
    torch.manual_seed(0)
    config = transformers.Mask2FormerConfig(backbone_config=backbone, num_labels=7, **SMALL)
    reference = transformers.Mask2FormerForUniversalSegmentation(config)
    for name, tensor in reference.state_dict().items():
        if name.endswith("criterion.empty_weight"):
            continue
        if "relative_position_bias_table" in name or "sampling_offsets.bias" in name:
            tensor.normal_(0, 1)
        elif name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.2)
        elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
        elif "sampling_offsets" in name or "attention_weights" in name:
            tensor.normal_(0, 0.05)
    return reference.eval()


@pytest.fixture(scope="module")
def on_resnet() -> Any:
    return mask2former(RESNET)


@pytest.fixture(scope="module")
def on_swin() -> Any:
    return mask2former(transformers.SwinConfig(**STAGES))


def ours(converted: Converted) -> Any:
    net = find("models", converted.model)(len(converted.names) + 1, pixels=converted.pixels, **converted.arguments)
    net.load_state_dict(converted.state)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "encoder", "size"), [("on_resnet", "resnet18", (96, 160)), ("on_swin", "swin_tiny_patch4_window7_224", (128, 96))]
)
def test_equal_to_transformers(name: str, encoder: str, size: tuple[int, int], request: Any, tmp_path: Path) -> None:
    """In every answer, from that before the first layer on; whether the names are those of files or of memory."""
    reference = request.getfixturevalue(name)
    reference.save_pretrained(tmp_path)
    for state in (load_file(tmp_path / "model.safetensors"), reference.state_dict()):
        converted = convert(reference.config.to_dict(), state)
        assert converted.arguments["encoder"] == encoder
        assert converted.arguments["layers"] == 4
    net = ours(converted)
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    net.training = True  # itself alone, so that it tells its earlier answers: norms and encoder stay as they are
    with torch.no_grad():
        expected = reference((images / 255 - MEAN) / STD, output_auxiliary_logits=True)
        said = net(images)
    theirs = [*expected.auxiliary_logits, {key: getattr(expected, key) for key in expected.auxiliary_logits[0]}]
    assert len(theirs) == 5
    for level, their in zip((*said.aux, said), theirs, strict=True):
        masks = torch.einsum("bqk,bkhw->bqhw", level.coefficients, level.prototypes)
        assert their["masks_queries_logits"].std() > 0.1
        torch.testing.assert_close(level.classes, their["class_queries_logits"], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(masks, their["masks_queries_logits"], rtol=1e-4, atol=1e-4 * float(masks.abs().max()))


def test_every_parameter_is_used(on_resnet: Any) -> None:
    net = ours(convert(on_resnet.config.to_dict(), on_resnet.state_dict()))
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in on_resnet.parameters())


@pytest.mark.parametrize(
    ("name", "labels", "task", "things"),
    [
        ("hf:facebook/mask2former-swin-tiny-coco-panoptic", 133, "panoptic", 80),
        ("hf:facebook/mask2former-swin-large-ade-panoptic", 150, "panoptic", 100),
        ("hf:facebook/mask2former-swin-base-cityscapes-panoptic", 19, "panoptic", 8),
        ("hf:facebook/mask2former-swin-large-mapillary-vistas-panoptic", 65, "panoptic", 37),
        ("hf:facebook/mask2former-swin-small-coco-instance", 80, "instance", 80),
        ("hf:facebook/mask2former-swin-small-ade-semantic", 150, "semantic", 0),
        ("hf:tue-mps/coco_panoptic_eomt_large_640", 133, "panoptic", 80),
        ("hf:someone/net", 3, "panoptic", 3),
    ],
)
def test_task_and_things_by_name(name: str, labels: int, task: str, things: int) -> None:
    names = [f"class{index}" for index in range(labels)]
    told, found = told_by_name(name, names)
    assert (told, len(found)) == (task, things)
    assert set(found) <= set(names)


def test_stuff_is_written_in_order() -> None:
    for (_, count), rows in STUFF.items():
        assert list(rows) == sorted(set(rows))
        assert max(rows) < count


def test_what_is_converted_beside_the_weights(on_resnet: Any) -> None:
    config = on_resnet.config.to_dict() | {"id2label": {index: f"thing {index}" for index in range(7)}}
    converted = convert(config, on_resnet.state_dict(), "hf:facebook/mask2former-r18-coco-instance")
    assert converted.names == tuple(f"thing {index}" for index in range(7))
    assert converted.things == converted.names
    assert (converted.task, converted.size) == ("instance", (512, 512))
    assert converted.licences.data == "COCO train2017"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hidden_dim": 128}, "a/b, hidden_dim in its config: expected 256, received 128"),
        ({"pre_norm": True}, "a/b, pre_norm in its config: expected False, received True"),
        ({"backbone_config": {"model_type": "focalnet"}}, "a/b: expected a backbone of swin or resnet, received focalnet"),
        ({"backbone_config": None}, "a/b: expected a backbone of swin or resnet, received none in its config"),
        (
            {"backbone_config": {"model_type": "resnet", "depths": [1, 1, 1, 1]}},
            "a/b, its resnet: expected one that timm has, received ('bottleneck', (1, 1, 1, 1), (256, 512, 1024, 2048))",
        ),
        ({"num_queries": 5}, "a/b: expected "),
    ],
)
def test_what_has_no_counterpart(change: dict[str, Any], text: str, on_resnet: Any) -> None:
    with pytest.raises(CheckpointError, match=re.escape(text)):
        convert(on_resnet.config.to_dict() | change, on_resnet.state_dict(), "a/b")
