"""Torchvision's Mask R-CNN, drawn at random in its true shape, and ours translated from it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torchvision.models.detection as torchvision_networks
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FrozenBatchNorm2d

from intarsia.core.catalogue import find
from intarsia.core.errors import CheckpointError
from intarsia.engine.foreign import assembled
from intarsia.models.pretrained._torchvision_mask_rcnn import ARGUMENTS, translated
from intarsia.models.pretrained.converted import Converted
from intarsia.models.pretrained.from_torchvision import NAMES, convert

SIZE = (64, 96)
SETTINGS: dict[str, Any] = {"min_size": 64, "max_size": 96, "box_score_thresh": 0.0}  # which resizes nothing
SETTINGS |= {"rpn_pre_nms_top_n_test": 60, "rpn_post_nms_top_n_test": 60}  # quicker


def randomised(network: Any) -> Any:
    """Down to the statistics of batch norm, so that no swap of two tensors goes unseen."""
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.0) if key.endswith(("weight", "var")) else tensor.normal_(0, 0.1)
    return network.eval()


def reference(name: str, classes: int = 4) -> Any:
    torch.manual_seed(0)
    return randomised(getattr(torchvision_networks, name)(weights=None, weights_backbone=None, num_classes=classes, **SETTINGS))


def ours(converted: Converted) -> Any:
    more = {"pixels": converted.pixels, "score": 0.0, "proposals": 60}
    net = find("models", converted.model)(len(converted.names) + 1, **more, **converted.arguments)
    net.load_state_dict(converted.state)
    return net.eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def assert_same_detections(net: Any, theirs: Any, images: torch.Tensor, classes: list[int]) -> None:
    """`classes` are torchvision's labels of ours."""
    with torch.no_grad():
        [expected] = theirs(list(images / 255))
        found = net(images)
    pixels = found.boxes[0] * torch.tensor([*SIZE[::-1]] * 2)
    assert len(pixels) > 20
    torch.testing.assert_close(pixels, expected["boxes"], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found.scores[0], expected["scores"], rtol=1e-4, atol=1e-5)
    assert torch.tensor(classes)[found.classes[0]].equal(expected["labels"])
    torch.testing.assert_close(
        paste_masks_in_image(found.masks[0][:, None], expected["boxes"], SIZE), expected["masks"], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ARGUMENTS)
def test_equal_detections(name: str, images: torch.Tensor) -> None:
    theirs = reference(name)
    converted = convert(name, theirs.state_dict())
    assert converted.names == converted.things == ("class0", "class1", "class2")
    assert_same_detections(ours(converted), theirs, images, [1, 2, 3])


def test_frozen_norms_have_no_epsilon(images: torch.Tensor) -> None:
    """As in torchvision's own file of the first version, with variances of nearly nothing; that file's older names too."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d)
    theirs = randomised(torchvision_networks.MaskRCNN(backbone, 3, **SETTINGS))
    overwrite_eps(theirs, 0.0)
    state = theirs.state_dict()
    state["backbone.body.layer1.0.bn1.running_var"][::2] = 1e-4
    old = {
        re.sub(r"_blocks\.(\d+)\.0\.", r"_blocks.\1.", key)
        .replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        .replace("mask_head.0.0.", "mask_head.mask_fcn1."): tensor
        for key, tensor in state.items()
    }
    assert len(old.keys() - state.keys()) == 20
    net = ours(convert("maskrcnn_resnet50_fpn", old))
    assert net.regions.mask.body[0][0].weight.equal(theirs.roi_heads.mask_head[0][0].weight)
    with torch.no_grad():
        expected = list(backbone.body(net.normalise(images)).values())
        torch.testing.assert_close(net.encoder(net.normalise(images))[1:], expected, rtol=1e-3, atol=1e-3)
        net.encoder.network.layer1[0].bn1.eps = 0.0
        assert (net.encoder(net.normalise(images))[1] - expected[0]).abs().max() > 0.1  # so the epsilon matters here


def test_a_frozen_channel_that_never_differs_stays_a_number() -> None:
    norm = "backbone.body.layer1.0.bn1."
    state = {f"{norm}running_var": torch.tensor([5.6e-45, 0.0]), f"{norm}weight": torch.tensor([1e-8, 0.0])}
    folded, _ = translated(state, [1])
    assert folded["encoder.network.layer1.0.bn1.weight"].isfinite().all()


def test_cocos_classes() -> None:
    """80 of 91 channels, by name; background behind them; the rows of gaps go."""
    state = reference("maskrcnn_resnet50_fpn", 91).state_dict()
    converted = convert("maskrcnn_resnet50_fpn", state)
    assert (len(converted.names), *converted.names[:2], converted.names[-1]) == (80, "person", "bicycle", "toothbrush")
    assert converted.task == "instance"
    scores, theirs = converted.state["regions.box.classify.scores.bias"], state["roi_heads.box_predictor.cls_score.bias"]
    assert scores[[0, 11, 79, 80]].equal(theirs[[1, 13, 90, 0]])  # person, stop sign behind the gap at 12, toothbrush, nothing
    boxes = state["roi_heads.box_predictor.bbox_pred.weight"]
    assert converted.state["regions.box.classify.boxes.weight"][11].equal(boxes[4 * 13 : 4 * 14])
    masks = state["roi_heads.mask_predictor.mask_fcn_logits.weight"]
    assert converted.state["regions.mask.classify.weight"][79].equal(masks[90].flatten())

    network, recipe = assembled(converted)
    assert (recipe.task, recipe.classes.channels, recipe.classes.is_thing.all()) == ("instance", 81, True)
    assert recipe.origin["source"] == "torchvision:maskrcnn_resnet50_fpn"
    assert network.state_dict()["regions.mask.enlarge.bias"].equal(state["roi_heads.mask_predictor.conv5_mask.bias"])


def test_what_does_not_fit_is_named() -> None:
    name = "maskrcnn_resnet50_fpn"
    assert set(ARGUMENTS) <= set(NAMES)
    state = reference(name).state_dict()
    with pytest.raises(CheckpointError, match=r"expected a tensor roi_heads.box_predictor.cls_score.weight, received 1 others"):
        convert(name, {"fc.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"1 without a place: fc.weight"):
        convert(name, {**state, "fc.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"2 missing: proposals.head.cls_logits.weight, proposals.head.cls_logits.bias"):
        convert(name, {key: tensor for key, tensor in state.items() if "rpn.head.cls_logits" not in key})
    key = "roi_heads.mask_predictor.mask_fcn_logits.weight"
    with pytest.raises(CheckpointError, match=rf"of another shape: {key}"):
        convert(name, {**state, key: state[key][:2]})
