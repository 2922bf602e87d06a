"""PSPNet beyond its family's contract: parity with segmentation_models.pytorch, pooling by hand, options."""

from __future__ import annotations

import re
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch

from intarsia.core.errors import OptionError
from intarsia.models.blocks.pyramid_pooling import PyramidPooling
from intarsia.models.pspnet import PSPNet

ENCODER = "lcnet_035"


def twins() -> tuple[PSPNet, Any]:
    """Ours and theirs, with the same random weights and statistics.

    What theirs lacks, the norm of the map pooled to one cell, does nothing but add in ours; what ours lacks, scores from 3x3
    cells, looks at the middle one only in theirs.
    """
    torch.manual_seed(0)
    theirs = smp.PSPNet(f"tu-{ENCODER}", encoder_weights=None, encoder_depth=5, psp_out_channels=16, psp_dropout=0.0, classes=5)
    state = theirs.state_dict()
    for key, tensor in state.items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    scores = state["segmentation_head.0.weight"]
    scores *= torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    modules = {"decoder.conv.0": "fuse.conv", "decoder.conv.1": "fuse.norm"}
    for level in range(4):
        modules[f"decoder.psp.blocks.{level}.pool.1.0"] = f"pool.levels.{level}.conv"
        modules[f"decoder.psp.blocks.{level}.pool.1.1"] = f"pool.levels.{level}.norm"
    ours = {"classify.weight": scores[:, :, 1:2, 1:2], "classify.bias": state["segmentation_head.0.bias"]}
    for key, tensor in state.items():
        module, _, kind = key.rpartition(".")
        if module != "segmentation_head.0":
            ours[f"{modules.get(module, module.replace('encoder.model.', 'encoder.network.'))}.{kind}"] = tensor
    net = PSPNet(5, encoder=ENCODER, output_stride=32, width=16, kernel=1, dropout=0.0, align_corners=True, aux_level=None)
    norm = net.pool.levels[0].norm
    ours["pool.levels.0.norm.bias"] = ours.pop("pool.levels.0.conv.bias")
    ours["fuse.conv.weight"] = ours["fuse.conv.weight"].roll(net.encoder.channels[-1], dims=1)  # the map is last in theirs
    missing, unexpected = net.load_state_dict(ours, strict=False)
    assert not unexpected
    assert {key for key in missing if not key.startswith("normalise.")} == {
        f"pool.levels.0.norm.{kind}" for kind in ("weight", "running_mean", "running_var")
    }
    norm.running_var.fill_(1 - norm.eps)
    theirs.segmentation_head[1] = torch.nn.Identity()  # their up-sampling; in ours it belongs to loss and decode
    return net, theirs


def test_equals_smp() -> None:
    net, theirs = twins()
    images = torch.randint(0, 256, (2, 3, 160, 224), dtype=torch.uint8)
    with torch.no_grad():
        expected = theirs.eval()(net.normalise(images))
        output = net.eval()(images)
    assert expected.std() > 1e-2
    torch.testing.assert_close(output.logits, expected, rtol=1e-5, atol=1e-5)
    assert output.align_corners


def test_gradients_equal_smp() -> None:
    """In training but for the one norm that theirs lacks."""
    net, theirs = twins()
    images = torch.randint(0, 256, (2, 3, 160, 224), dtype=torch.uint8)
    net.train().pool.levels[0].eval()
    net(images).logits.square().mean().backward()
    theirs.train()(net.normalise(images)).square().mean().backward()
    expected = theirs.encoder.model.conv_stem.weight.grad
    torch.testing.assert_close(
        net.encoder.network.conv_stem.weight.grad, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
    )


def test_each_cell_sees_the_means_of_its_surroundings() -> None:
    pool = PyramidPooling(1, 1, bins=(1, 2)).eval()
    for level in pool.levels:
        torch.nn.init.ones_(level.conv.weight)
        level.norm.running_var.fill_(1 - level.norm.eps)
    features = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])[None, None]
    with torch.no_grad():
        itself, whole, quarters = pool(features)[0]
    assert torch.equal(itself, features[0, 0])
    torch.testing.assert_close(whole, torch.full((2, 4), 4.5))
    torch.testing.assert_close(quarters[:, [0, 3]], torch.tensor([[1.5, 3.5], [5.5, 7.5]]))  # rows and columns two by two
    torch.testing.assert_close(quarters[:, 1], 0.75 * quarters[:, 0] + 0.25 * quarters[:, 3])


def test_channels_are_shared_among_the_bins() -> None:
    net = PSPNet(2, encoder=ENCODER, width=8)
    assert [level.conv.out_channels for level in net.pool.levels] == [44] * 4  # 176 / 4
    assert net.fuse.conv.in_channels == 2 * 176
    assert PSPNet(2, encoder=ENCODER, width=8, bins=(1, 5)).fuse.conv.in_channels == 2 * 176


def test_the_second_head_speaks_in_training_only() -> None:
    net, images = PSPNet.tiny(5), torch.zeros(2, 3, 64, 96, dtype=torch.uint8)
    assert net.auxiliary.conv.conv.in_channels == net.encoder.channels[-2]
    assert [tuple(dense.logits.shape) for dense in net(images).aux] == [(2, 5, 8, 12)]
    assert net.eval()(images).aux == ()
    assert PSPNet(5, encoder=ENCODER, width=8, aux_level=None)(images).aux == ()


def test_one_image_can_be_trained_on() -> None:
    net = PSPNet.tiny(5).train()
    net(torch.randint(0, 256, (1, 3, 40, 56))).logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


def test_an_encoder_that_cannot_be_dilated_says_what_can() -> None:
    with pytest.raises(OptionError, match=re.escape("output_stride of encoder 'ghostnet_050': expected 32, its own")):
        PSPNet(2, encoder="ghostnet_050")
