"""Panoptic FPN: its head for stuff against detectron2's, what its regions are trained on, and an answer of both."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from intarsia.core import ClassSet, Dense, Targets
from intarsia.decode.panoptic import panoptic
from intarsia.decode.semantic import semantic
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.blocks.semantic_fpn_head import SemanticFPNHead
from intarsia.models.mask_rcnn import MaskRCNN
from intarsia.models.panoptic_fpn import PanopticFPN


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class TheirHead(nn.Module):
    """detectron2's SemSegFPNHead (modeling/meta_arch/semantic_seg.py) up to the scores, in its words."""

    def __init__(self, channels: int, strides: list[int], conv_dims: int, num_classes: int) -> None:
        super().__init__()
        self.scale_heads = nn.ModuleList()
        for stride in strides:
            head_ops: list[nn.Module] = []
            for k in range(max(1, int(torch.tensor(stride / 4).log2()))):
                conv = nn.Conv2d(channels if k == 0 else conv_dims, conv_dims, 3, padding=1, bias=False)
                head_ops += [conv, nn.GroupNorm(32, conv_dims), nn.ReLU()]
                if stride != 4:
                    head_ops.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            self.scale_heads.append(nn.Sequential(*head_ops))
        self.predictor = nn.Conv2d(conv_dims, num_classes, 1)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        x: Any = self.scale_heads[0](features[0])
        for i in range(1, len(features)):
            x = x + self.scale_heads[i](features[i])
        return self.predictor(x)


def test_the_head_is_detectron2s() -> None:
    strides = [4, 8, 16, 32]
    ours, theirs = SemanticFPNHead(12, strides, 5, 64), TheirHead(12, strides, 64, 5)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.3)
    assert len(ours.state_dict()) == len(theirs.state_dict())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))  # in the same order
    levels = [torch.randn(2, 12, 128 // stride, 192 // stride) for stride in strides]
    torch.testing.assert_close(ours(levels), theirs(levels), rtol=1e-4, atol=1e-4)


def test_a_width_of_any_kind_has_groups_of_several_channels() -> None:
    for width, groups in ((128, 32), (32, 16), (24, 12), (7, 1), (1, 1)):
        assert SemanticFPNHead(4, (4, 8), 3, width).levels[0][0].norm.num_groups == groups


def truth() -> Targets:
    """Stuff above and below, two things, (C = 4)."""
    ids = torch.full((1, 1, 64, 96), 1)
    ids[..., 40:, :] = 2
    ids[..., 10:30, 10:40] = 3
    ids[..., 30:60, 60:90] = 4
    return Targets(ids, torch.tensor([[0, 2, 1, 3]]), torch.zeros(1, 4, dtype=torch.bool), 4)


def test_regions_are_of_things_alone() -> None:
    """The losses of the regions are those of Mask R-CNN for truth without the stuff; with all classes as things they are not."""
    raw, targets = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8), truth()
    net = PanopticFPN(5, things=[1, 3], semantic_width=16, **PanopticFPN.TINY).train()
    plain = MaskRCNN.tiny(5).train()
    plain.load_state_dict({name: tensor for name, tensor in net.state_dict().items() if not name.startswith("semantic.")})

    def losses(network: MaskRCNN, targets: Targets) -> Any:
        torch.manual_seed(1)
        return network(raw, None, targets).losses

    only = Targets(torch.where(targets.ids > 2, targets.ids, 0), targets.classes, targets.crowd, 4)
    torch.testing.assert_close(losses(net, targets), losses(plain, only))
    assert abs(losses(PanopticFPN.tiny(5).train(), targets)["class"] - losses(plain, only)["class"]) > 1e-3


def test_what_it_is_trained_with() -> None:
    """Cross-entropy of the semantic branch, half, beside the losses of the regions; every class counts there, things too."""
    raw, targets = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8), truth()
    net = PanopticFPN.tiny(5).train()
    output = net(raw, None, targets)
    terms = WeightedSum(PanopticFPN.losses)(output, targets)
    assert set(terms) == {"objectness", "proposal", "class", "box", "mask", "cross_entropy"}
    logits = interpolate(output.semantic.logits, size=(64, 96), mode="bilinear")
    expected = 0.5 * nn.functional.cross_entropy(logits, targets.semantic())
    torch.testing.assert_close(terms["cross_entropy"], expected)


def test_the_branch_covers_the_image_alone() -> None:
    """The canvas is a multiple of 32, the answer is not: its cells lie where they would without the canvas."""
    net = PanopticFPN.tiny(5).eval()
    raw = torch.randint(0, 256, (1, 3, 33, 50), dtype=torch.uint8)
    with torch.no_grad():
        small = net(raw).semantic
        valid = torch.zeros(1, 64, 64, dtype=torch.bool)
        valid[:, :33, :50] = True
        large = net(nn.functional.pad(raw, (0, 14, 0, 31)), valid).semantic
    assert isinstance(small, Dense)
    assert small.logits.shape == (1, 5, 9, 13)
    torch.testing.assert_close(small.logits, large.logits[..., :9, :13])


def test_it_learns_both() -> None:
    """In a few steps, of one picture whose parts have colours of their own."""
    targets = truth()
    colours = torch.tensor([[0, 0, 0], [40, 40, 250], [250, 250, 40], [250, 20, 20], [20, 250, 20]])
    raw = colours[targets.ids[:, 0]].movedim(-1, 1).to(torch.uint8)  # (B, H, W, C) -> (B, C, H, W)
    net = PanopticFPN(5, things=[1, 3], semantic_width=16, **PanopticFPN.TINY).train()
    net.encoder.eval()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.006)
    losses = WeightedSum(PanopticFPN.losses)
    for _ in range(100):
        loss = torch.stack([*losses(net(raw, None, targets), targets).values()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    classes = ClassSet(("sky", "cat", "road", "dog"), things=("cat", "dog"), nothing=True)
    with torch.no_grad():
        output = net.eval()(raw)
    [found] = panoptic(output, [(64, 96)], classes, score=0.2)
    expected = targets.semantic()[0].numpy()
    assert set(found.classes.tolist()) == {0, 1, 2, 3}
    assert (found.semantic(4) == expected).mean() > 0.9
    [dense] = semantic(output, [(64, 96)], classes)
    assert (dense.semantic(4) == expected).mean() > 0.9
