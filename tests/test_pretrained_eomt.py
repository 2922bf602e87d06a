"""EoMT of transformers, random but of true shape, against what it becomes here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError
from intarsia.models.pretrained.from_transformers import convert

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.models.pretrained.converted import Converted

MEAN, STD = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
SMALL = {"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 3, "num_blocks": 2, "image_size": 64, "num_queries": 9}


def eomt(**config: Any) -> Any:
    """No tensor at zero or one: each in the wrong place would show."""
    torch.manual_seed(0)
    reference = transformers.EomtForUniversalSegmentation(transformers.EomtConfig(num_labels=7, **SMALL | config))
    for name, tensor in reference.state_dict().items():
        if name == "attn_mask_probs":
            tensor.zero_()  # training has ended
        elif "mask_head" in name or ".conv1." in name:
            tensor.normal_(0, 0.3)  # so that masks cover some patches and not others
        elif name.endswith("bias") or "token" in name or "position_embeddings" in name:
            tensor.normal_(0, 0.2)
        elif "lambda1" in name or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
    return reference.eval()


def ours(converted: Converted) -> Any:
    net = find("models", converted.model)(len(converted.names) + 1, pixels=converted.pixels, **converted.arguments)
    net.load_state_dict(converted.state)
    return net.eval()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "config",
    [{}, {"use_swiglu_ffn": True}, {"num_register_tokens": 2, "mlp_ratio": 2, "num_upscale_blocks": 1}, {"patch_size": 8}],
)
def test_equal_to_transformers(config: dict[str, Any], masked: bool, tmp_path: Path) -> None:
    """At the size of its positions; with its masks still on, as in training, too."""
    reference = eomt(**config)
    reference.save_pretrained(tmp_path)
    converted = convert(reference.config.to_dict(), load_file(tmp_path / "model.safetensors"))
    net = ours(converted)
    reference.attn_mask_probs.fill_(float(masked))
    net.annealed.progress.fill_(1 - float(masked))
    net.training = masked  # itself alone
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = reference((images / 255 - MEAN) / STD)
        said = net(images)
    masks = torch.einsum("bqk,bkhw->bqhw", said.coefficients, said.prototypes)
    assert expected.masks_queries_logits.std() > 0.1
    torch.testing.assert_close(said.classes, expected.class_queries_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(masks, expected.masks_queries_logits, rtol=1e-4, atol=1e-4 * float(masks.abs().max()))
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in reference.parameters())


def test_the_masks_matter() -> None:
    """Else the test above could not tell."""
    images, reference = torch.randn(2, 3, 64, 64), eomt()
    given = []
    for layer in reference.layers[-2:]:
        layer.register_forward_hook(lambda _, inputs, __: given.append(inputs[1]))
    with torch.no_grad():
        one = reference(images).class_queries_logits
        reference.attn_mask_probs.fill_(1)
        other = reference(images).class_queries_logits
    assert (one - other).abs().max() > 0.01
    for mask in given[2:]:
        assert 0.1 < (mask[:, :, :9, -16:] < 0).float().mean() < 0.9


def test_sizes_by_name() -> None:
    from intarsia.models.pretrained._transformers_eomt import arguments

    config = {"image_size": 640, "patch_size": 16, "num_queries": 200, "num_blocks": 4}  # that of the authors' large ones
    assert arguments(config, "a/b") == {
        "encoder": "vit_large_patch14_reg4_dinov2",
        "vit": {"img_size": 640, "patch_size": 16},
        "queries": 200,
        "blocks": 4,
        "scales": 2,
    }
    giant = {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True}
    assert arguments(config | giant, "a/b")["encoder"] == "vit_giant_patch14_reg4_dinov2"
    assert "embed_dim" not in arguments(config | giant, "a/b")["vit"]


def test_what_is_converted_beside_the_weights() -> None:
    reference = eomt()
    converted = convert(reference.config.to_dict(), reference.state_dict(), "hf:tue-mps/coco_instance_eomt_large_640")
    assert (converted.task, converted.size, converted.things) == ("instance", (64, 64), converted.names)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hidden_act": "relu"}, "a/b, hidden_act in its config: expected gelu, received relu"),
        ({"num_queries": 5}, "of another shape: queries.weight"),
        ({"num_hidden_layers": 3}, "without a place: encoder.network.blocks.3."),
    ],
)
def test_what_has_no_counterpart(change: dict[str, Any], text: str) -> None:
    reference = eomt()
    with pytest.raises(CheckpointError, match=re.escape(text)):
        convert(reference.config.to_dict() | change, reference.state_dict(), "a/b")


def test_training_that_has_not_ended() -> None:
    reference = eomt()
    reference.attn_mask_probs[1] = 0.5
    with pytest.raises(CheckpointError, match=r"a/b, its attn_mask_probs: expected 0 throughout, received \[0.0, 0.5\]"):
        convert(reference.config.to_dict(), reference.state_dict(), "a/b")
