"""Mask R-CNN against torchvision's in training (in evaluation: test_pretrained_maskrcnn.py), and what it makes of truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.detection import MaskRCNN as TheirMaskRCNN
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import box_iou

from intarsia.core import ClassSet, Dense, Regions, Targets
from intarsia.core.errors import InvalidNoun
from intarsia.engine.describe import multiply_adds
from intarsia.engine.fine_tuning import carry_over
from intarsia.losses.regions import Regions as RegionsLoss
from intarsia.models import _objects
from intarsia.models._objects import NOBODY, UNTRAINED, objects_of
from intarsia.models._region_heads import _mask_loss
from intarsia.models.mask_rcnn import MaskRCNN
from intarsia.models.pretrained._torchvision_mask_rcnn import translated

NAMES = {"objectness", "proposal", "class", "box", "mask"}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def truth(ids: Any, classes: list[list[int]], crowd: list[list[bool]] | None = None, num_classes: int = 3) -> Targets:
    """Of ids (B, L, H, W)."""
    ids = torch.as_tensor(np.asarray(ids), dtype=torch.int16)
    return Targets(
        ids,
        torch.tensor(classes).view(len(ids), -1),
        torch.zeros(len(ids), len(classes[0]), dtype=torch.bool) if crowd is None else torch.tensor(crowd),
        num_classes,
    )


def rectangles(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """(L, H, W): each on a layer of its own."""
    ids = np.zeros((max(1, len(boxes)), *size), np.int16)
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        ids[row, y0:y1, x0:x1] = row + 1
    return ids


def pictures(*size: int) -> torch.Tensor:
    return torch.randint(0, 256, size, dtype=torch.uint8)


# -- torchvision ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [_objects.MOST, 1])  # masks and overlaps one object at a time
def test_equal_losses(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With equal weights and the same draw of regions; boxes overlap, one image has an object of one pixel, gradients too."""
    monkeypatch.setattr(_objects, "MOST", many)
    monkeypatch.setattr(_objects, "ALIGNED", False)  # all that is ours
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=torch.nn.BatchNorm2d, trainable_layers=5)
    settings = {"rpn_pre_nms_top_n_train": 80, "rpn_post_nms_top_n_train": 80, "box_batch_size_per_image": 48}
    theirs = TheirMaskRCNN(backbone, 4, _skip_resize=True, **settings).train()  # which else draws a size
    theirs.rpn.head.cls_logits.weight.data *= 100  # else all proposals are nearly equal
    ours = MaskRCNN(4, encoder="resnet18", proposals=40, region_samples=48).train()
    state, _ = translated(theirs.state_dict(), [1, 2, 3])
    scaling = {name: tensor for name, tensor in ours.state_dict().items() if name.startswith("normalise.")}
    ours.load_state_dict({**{name: tensor.view_as(ours.state_dict()[name]) for name, tensor in state.items()}, **scaling})
    for encoder in (theirs.backbone.body, ours.encoder):
        encoder.eval()

    one = rectangles((4, 6, 40, 50), (20, 10, 70, 60), (60, 2, 94, 30))
    other = rectangles((10, 10, 50, 40), (80, 50, 81, 51))
    one[0, 6:20, 4:12] = 0  # not the whole of its box
    ids = np.stack([one, np.concatenate([other, np.zeros_like(other[:1])])])
    targets = truth(ids, [[0, 2, 1], [1, 1, -1]])
    raw = pictures(2, 3, 64, 96)
    given = [
        {"boxes": targets.boxes()[image, :rows], "labels": targets.classes[image][:rows] + 1, "masks": targets.masks(image)}
        for image, rows in enumerate((3, 2))
    ]
    torch.manual_seed(5)
    expected = theirs(list(raw / 255), given)
    torch.manual_seed(5)
    losses = ours(raw, None, targets).losses
    names = {
        "objectness": "loss_objectness",
        "proposal": "loss_rpn_box_reg",
        "class": "loss_classifier",
        "box": "loss_box_reg",
        "mask": "loss_mask",
    }
    assert all(value > 0.01 for value in expected.values())
    torch.testing.assert_close(losses, {name: expected[their] for name, their in names.items()}, rtol=1e-4, atol=1e-5)

    torch.stack(list(losses.values())).sum().backward()
    torch.stack(list(expected.values())).sum().backward()
    for mine, reference in (
        (ours.encoder.network.conv1, backbone.body.conv1),
        (ours.regions.mask.enlarge, theirs.roi_heads.mask_predictor.conv5_mask),
    ):
        size = float(reference.weight.grad.abs().max())
        torch.testing.assert_close(mine.weight.grad, reference.weight.grad, rtol=1e-3, atol=1e-3 * size)


def test_owners_are_those_of_torchvisions_matcher() -> None:
    """Of random boxes, in lots of any size."""
    corners = torch.rand(30, 2, 2) * 40
    objects = torch.cat([corners.amin(dim=1), corners.amax(dim=1) + 1], dim=1)
    [known] = objects_of(truth(np.zeros((1, 1, 64, 64)), [[]]))
    known = type(known)(objects, torch.zeros(30), torch.arange(1, 31), known.ids, None, None)
    boxes = torch.cat([objects + torch.randn(30, 4) * spread for spread in (1.0, 4.0, 9.0)])
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    overlaps = box_iou(objects, boxes)
    for each in (False, True):
        expected = Matcher(0.7, 0.3, allow_low_quality_matches=each)(overlaps)
        assert {NOBODY, UNTRAINED} < set(expected.tolist())
        for lot in (1, 200, 10_000):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_objects, "MOST", lot)
                assert known.owners(boxes, 0.7, 0.3, each=each).equal(expected)


# -- what it makes of truth ----------------------------------------------------------------------------------------------------


def test_objects_by_hand() -> None:
    """Rows 1 a rectangle, 2 a pixel, 3 a crowd, 4 without pixels, 5 above row 1; void at the left edge."""
    ids = np.zeros((1, 2, 4, 6), np.int16)
    ids[0, 0, :, 0] = -1
    ids[0, 0, 1:3, 1:4] = 1
    ids[0, 0, 3, 5] = 2
    ids[0, 0, 0, 2:] = 3
    ids[0, 1, 2, 3:6] = 5
    targets = truth(ids, [[2, 0, 1, 1, 0, -1]], [[False, False, True, False, False, False]])
    [objects] = objects_of(targets)
    assert objects.rows.tolist() == [1, 2, 5]
    assert objects.classes.tolist() == [2, 0, 0]
    assert objects.boxes.tolist() == [[1, 1, 4, 3], [5, 3, 6, 4], [3, 2, 6, 3]]
    assert objects.boxes.equal(targets.boxes()[0, [0, 1, 4]])
    assert objects.unknown is not None
    assert objects.unknown.sum() == 4
    assert objects.untrained is not None
    assert objects.untrained[-1, -1] == 4 + 4
    [things] = objects_of(targets, things=[2])
    assert things.rows.tolist() == [1]

    valid = torch.ones(1, 4, 6, dtype=torch.bool)
    valid[..., 4:] = False
    [padded] = objects_of(targets, valid)
    assert padded.unknown is not None
    assert padded.unknown.sum() == 4 + 8


def test_doubtful_boxes_are_no_negatives() -> None:
    """One object; a crowd in the top right quarter, void in the bottom left."""
    ids = np.zeros((1, 1, 8, 8), np.int16)
    ids[0, 0, :4, :4], ids[0, 0, :4, 4:], ids[0, 0, 4:, :4] = 1, 2, -1
    [objects] = objects_of(truth(ids, [[0, 0]], [[False, True]]))
    table = {
        (0, 0, 4, 4): 0,  # the object
        (0, 0, 4, 3): UNTRAINED,  # three quarters of it: in between
        (4, 0, 8, 4): UNTRAINED,  # crowd
        (0, 4, 4, 8): UNTRAINED,  # void
        (4, 4, 8, 8): NOBODY,
        (4, 2, 8, 6): NOBODY,  # half of it crowd
        (4, 1, 8, 6): UNTRAINED,  # three fifths of it
        (20, 20, 30, 30): NOBODY,  # outside
        (4, -9, 8, 2): UNTRAINED,  # of what lies inside, all is crowd
    }
    owners = objects.owners(torch.tensor([*table], dtype=torch.float32), 0.9, 0.7)
    assert dict(zip(table, owners.tolist(), strict=True)) == table


def test_a_crop_by_hand() -> None:
    """A mask of the left half; a quarter of the box is void."""
    ids = np.zeros((1, 1, 8, 8), np.int16)
    ids[0, 0, :, :4], ids[0, 0, 4:, 4:] = 1, -1
    [objects] = objects_of(truth(ids, [[0]]))
    shares, known = objects.crops(torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([0]), 4)
    assert shares[0].tolist() == [[1, 1, 0, 0]] * 4
    assert known[0].tolist() == [[1, 1, 1, 1]] * 2 + [[1, 1, 0, 0]] * 2


def test_void_trains_no_mask() -> None:
    """What a network says of a mask's void part has no gradient; elsewhere it has."""
    ids = np.zeros((1, 1, 64, 64), np.int16)
    ids[0, 0, 8:56, 8:32], ids[0, 0, 8:56, 32:56] = 1, -1
    [objects] = objects_of(truth(ids, [[0]]))
    logits = torch.zeros(1, 28, 28, requires_grad=True)
    _mask_loss(logits, [torch.tensor([[8.0, 8.0, 56.0, 56.0]])], [torch.tensor([0])], [objects]).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 1:-1, 15:-1] == 0).all()  # the outermost cells reach beyond
    assert (logits.grad[0, 1:-1, 1:14] < 0).all()


def losses_of(net: MaskRCNN, raw: torch.Tensor, targets: Targets, valid: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    losses = net(raw, valid, targets).losses
    assert losses is not None
    assert losses.keys() == NAMES
    return losses


@pytest.mark.parametrize(
    ("ids", "classes"),
    [
        (rectangles(size=(40, 48)), []),  # no object
        (-np.ones((1, 64, 64)), []),  # all void: nothing is known
        (rectangles((3, 3, 4, 4), (47, 39, 48, 40), size=(40, 48)), [0, 2]),  # of one pixel, one in the corner
        (rectangles((0, 0, 48, 40), (0, 0, 48, 40), size=(40, 48)), [0, 0]),  # the whole image, twice
        (rectangles((0, 0, 1, 40), (5, 5, 5, 5), size=(40, 48)), [1, 1]),  # a line, and a row without a pixel
    ],
)
def test_odd_truth_is_borne(ids: np.ndarray, classes: list[int]) -> None:
    net, raw = MaskRCNN.tiny(4).train(), pictures(2, 3, *ids.shape[1:])
    targets = truth(np.stack([ids, ids]), [classes, classes])
    losses = losses_of(net, raw, targets)
    torch.stack(list(losses.values())).sum().backward()
    assert all(value.isfinite() for value in losses.values())
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())
    assert all(buffer.isfinite().all() for buffer in net.buffers())
    if not classes:
        assert losses["proposal"] == losses["box"] == losses["mask"] == 0
        assert (losses["objectness"] == losses["class"] == 0) == bool((ids < 0).all())


def test_padding_does_not_speak_in_training() -> None:
    net, raw = MaskRCNN.tiny(4).train(), pictures(1, 3, 64, 64).float()
    valid = torch.ones(1, 64, 64, dtype=torch.bool)
    valid[:, 40:] = False
    targets = truth(rectangles((8, 8, 30, 30), size=(64, 64))[None], [[1]])
    expected = losses_of(net, raw, targets, valid)
    raw[:, :, 40:] = torch.nan
    assert losses_of(net, raw, targets, valid) == expected


def test_a_crowd_is_no_object() -> None:
    net, raw = MaskRCNN.tiny(4).train(), pictures(1, 3, 64, 64)
    ids = rectangles((0, 0, 64, 64), size=(64, 64))[None]
    assert losses_of(net, raw, truth(ids, [[0]]))["mask"] > 0
    crowd = losses_of(net, raw, truth(ids, [[0]], [[True]]))
    assert all(value == 0 for value in crowd.values())  # and no proof of nothing either


def test_it_takes_targets_to_train() -> None:
    with pytest.raises(InvalidNoun, match=r"expected targets, which decide .* Pass targets, or call eval"):
        MaskRCNN.tiny(4).train()(pictures(2, 3, 64, 64))


def test_the_loss_asks_for_losses() -> None:
    net, raw = MaskRCNN.tiny(4).train(), pictures(1, 3, 64, 64)
    targets = truth(rectangles((8, 8, 30, 30), size=(64, 64))[None], [[1]])
    output = net(raw, None, targets)
    assert output.losses is not None
    halves = RegionsLoss(0.5)(output, targets)
    assert halves == {name: 0.5 * value for name, value in output.losses.items()}
    with pytest.raises(
        InvalidNoun, match=r"regions loss: expected an output that holds losses, received none\. Call the network in"
    ):
        RegionsLoss()(net.eval()(raw), targets)
    with pytest.raises(InvalidNoun, match=r"regions loss: expected a Regions output, received Dense"):
        RegionsLoss()(Dense(torch.zeros(1, 4, 2, 2)), targets)


# -- what it says --------------------------------------------------------------------------------------------------------------


def test_answers_keep_their_limits() -> None:
    net = MaskRCNN(4, encoder="test_efficientnet", width=8, box_width=8, mask_width=8, score=0.2, detections=7).eval()
    raw = pictures(2, 3, 50, 70)
    with torch.no_grad():
        found = net(raw)
    assert isinstance(found, Regions)
    for boxes, classes, scores, masks in zip(found.boxes, found.classes, found.scores, found.masks, strict=True):
        assert len(boxes) == 7
        assert (boxes >= 0).all()
        assert (boxes <= 1).all()
        assert (boxes[:, :2] < boxes[:, 2:]).all()
        assert (classes < 3).all()  # never "no object"
        assert (scores > 0.2).all()
        assert scores.equal(scores.sort(descending=True).values)
        assert masks.shape == (7, 28, 28)
        assert ((masks >= 0) & (masks <= 1)).all()


def test_half_precision_keeps_boxes_whole() -> None:
    net, raw = MaskRCNN.tiny(4).train(), pictures(1, 3, 64, 64)
    targets = truth(rectangles((8, 8, 30, 30), size=(64, 64))[None], [[1]])
    whole = losses_of(net, raw, targets)
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(net, raw, targets)
        found = net.eval()(raw)
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert abs(losses["objectness"] - whole["objectness"]) < 0.01
    assert found.boxes[0].dtype == found.scores[0].dtype == found.masks[0].dtype == torch.float32


def test_other_classes_are_carried_over_by_name() -> None:
    old, new = MaskRCNN.tiny(4), MaskRCNN.tiny(3)
    known, classes = (ClassSet(names, things=names, nothing=True) for names in (("cat", "dog", "owl"), ("owl", "fox")))
    fresh = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    carry_over(old, known, new, classes)
    given, state = old.state_dict(), new.state_dict()
    for name in ("regions.box.classify.scores.weight", "regions.box.classify.boxes.weight", "regions.mask.classify.bias"):
        assert state[name][0].equal(given[name][2])
        assert state[name][1].equal(fresh[name][1])
        assert state[name][2].equal(given[name][3])  # nothing
    assert state["regions.box.body.fc6.weight"].equal(given["regions.box.body.fc6.weight"])


def test_its_cost_is_that_of_its_fullest_answer() -> None:
    """Counted where nothing is computed: boxes of all proposals, masks of all detections."""

    def cost(**options: int) -> int:
        with torch.device("meta"):
            net = MaskRCNN(4, encoder="test_efficientnet", width=8, box_width=16, mask_width=8, mask_layers=1, **options)
        return multiply_adds(net, (100, 200))

    least = cost(proposals=10, detections=5)
    assert cost(proposals=30, detections=5) - least == 20 * (8 * 49 * 16 + 16 * 16 + 16 * 4 * 5)
    assert cost(proposals=10, detections=6) - least == 8 * 8 * 9 * 14**2 + 8 * 8 * 28**2 + 8 * 4 * 28**2


def test_of_several_levels_of_one_stride_the_last_is_taken() -> None:
    """A plain ViT gives some of stride 16: anchors of one size each, and regions from a level of their own size."""
    net = MaskRCNN(4, encoder="test_vit", width=16, box_width=16, mask_width=16, proposals=20).eval()
    assert net.strides == sorted(set(net.encoder.strides))
    sides = [float(cell[0, 2] - cell[0, 0]) for cell in net.proposals.anchors.cell_anchors]
    assert len(set(sides)) == len(sides)
    assert len(net.encoder.strides) > len(net.strides)


def test_volumes_are_refused() -> None:
    with pytest.raises(InvalidNoun, match="images: expected .B, C, H, W., because boxes are flat"):
        MaskRCNN.tiny(4).eval()(torch.zeros(1, 3, 8, 64, 64))
