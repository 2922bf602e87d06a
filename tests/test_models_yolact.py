"""YOLACT beyond the contract: anchors and boxes by plain loops, which part says what, its levels, and that it finds objects."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from torch import nn

from intarsia.core import ClassSet, Targets
from intarsia.core.errors import OptionError
from intarsia.decode._prototypes import instances
from intarsia.losses.prototype_masks import PrototypeMasks
from intarsia.models.blocks.anchor_head import AnchorHead
from intarsia.models.yolact import Yolact

ENCODER = "lcnet_035"


def test_anchors_lie_level_by_level_row_by_row() -> None:
    net = Yolact(3, encoder=ENCODER, width=8, prototypes=4, levels=4, scale=2.0, ratios=(1.0, 4.0)).eval()
    with torch.no_grad():
        output = net(torch.zeros(1, 3, 70, 100))
    expected = []
    for stride in (8, 16, 32, 64):
        rows, columns = -(-70 // stride), -(-100 // stride)
        for y in range(rows):
            for x in range(columns):
                for ratio in (1.0, 4.0):
                    middle = (x + 0.5) / columns, (y + 0.5) / rows
                    half = stride * sqrt(ratio) / 100, stride / sqrt(ratio) / 70
                    expected.append([middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]])
    torch.testing.assert_close(output.priors, torch.tensor(expected))
    assert tuple(output.classes.shape) == (1, len(expected), 3)
    assert tuple(output.coefficients.shape) == (1, len(expected), 4)
    assert tuple(output.prototypes.shape) == (1, 4, 18, 26)  # twice the finest level


def test_boxes_are_moves_from_the_anchors() -> None:
    """As SSD decodes them: with variances 0.1 and 0.2."""
    net = Yolact(3, encoder=ENCODER, width=8, prototypes=4).eval()
    nn.init.zeros_(net.head.boxes.weight)
    with torch.no_grad():
        net.head.boxes.bias.copy_(torch.tensor([1.0, -2.0, 3.0, 100.0]).repeat(3))
        output = net(torch.zeros(2, 3, 64, 64))
    priors = output.priors.expand(2, -1, 4)
    middle, size = (priors[..., :2] + priors[..., 2:]) / 2, priors[..., 2:] - priors[..., :2]
    moved = middle + torch.tensor([0.1, -0.2]) * size
    grown = size * torch.tensor([0.6, 4.0]).exp()  # e^20 times as high is too high
    torch.testing.assert_close(output.boxes, torch.cat([moved - grown / 2, moved + grown / 2], dim=-1), rtol=1e-4, atol=1e-3)


def test_the_head_says_each_anchor_of_each_cell() -> None:
    """What a convolution's channels say of a cell, anchor by anchor, comes in the order of the anchors."""
    torch.manual_seed(0)
    head, features = AnchorHead(6, 3, channels=5, prototypes=2), torch.randn(2, 6, 4, 7)
    with torch.no_grad():
        classes, boxes, coefficients = head(features)
        shared = head.shared(features)
        for anchor in range(3):  # the classes' weights go by class first
            own = head.classify.weight.view(5, 3, 6, 3, 3)[:, anchor]
            maps = torch.nn.functional.conv2d(shared, own, head.classify.bias[:, anchor], padding=1)  # (B, channels, *s)
            torch.testing.assert_close(classes[:, anchor::3], maps.flatten(2).movedim(1, 2))
        for part, conv, each in ((boxes, head.boxes, 4), (coefficients, head.coefficients, 2)):
            maps = conv(shared)
            maps = maps.tanh() if part is coefficients else maps
            for anchor, (y, x) in ((0, (0, 0)), (2, (1, 3)), (1, (3, 6))):
                torch.testing.assert_close(part[:, (y * 7 + x) * 3 + anchor], maps[:, anchor * each : (anchor + 1) * each, y, x])
    assert coefficients.min() < 0


@pytest.mark.parametrize(
    ("encoder", "finest", "levels", "strides", "prototypes"),
    [
        (ENCODER, 8, 5, [8, 16, 32, 64, 128], (18, 26)),
        (ENCODER, 4, 2, [4, 8], (34, 50)),
        ("convnext_atto", 2, 4, [4, 8, 16, 32], (34, 50)),  # begins at stride 4
        ("vit_tiny_patch16_224", 8, 3, [16, 32, 64], (10, 14)),  # has one stride only
    ],
)
def test_levels(encoder: str, finest: int, levels: int, strides: list[int], prototypes: tuple[int, int]) -> None:
    net = Yolact(3, encoder=encoder, width=8, finest=finest, levels=levels).eval()
    assert net.sides == [3.0 * stride for stride in strides]
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 65, 97)).prototypes.shape[2:] == prototypes


def test_prototypes_are_not_below_0() -> None:
    torch.manual_seed(0)
    output = Yolact.tiny(3).eval()(torch.randint(0, 256, (2, 3, 64, 64)))
    assert output.prototypes.min() == 0
    assert output.prototypes.max() > 0


def test_an_encoder_without_such_levels() -> None:
    with pytest.raises(OptionError, match="strides of encoder 'lcnet_035': expected one or more of 64 or coarser"):
        Yolact(3, encoder=ENCODER, finest=64)


def test_learns_to_find_objects() -> None:
    """Discs and squares of random grey on noise, some of them over one another, come back after a few steps."""
    rng = np.random.default_rng(0)
    images, ids = rng.integers(0, 60, (2, 64, 64)), np.zeros((2, 1, 64, 64), np.int64)
    ys, xs = np.indices((64, 64))
    classes = torch.tensor([[0, 1, 0, 1]] * 2)
    for image, rows in zip(images, ids[:, 0], strict=True):
        for row in range(4):
            y, x = 16 + 32 * (row // 2) + rng.integers(-4, 5), 16 + 32 * (row % 2) + rng.integers(-4, 5)
            mask = np.maximum(abs(ys - y), abs(xs - x)) <= 9 if row % 2 else (ys - y) ** 2 + (xs - x) ** 2 <= 100
            image[mask] = rng.integers(120, 256)
            rows[mask] = row + 1
    raw = torch.from_numpy(np.repeat(images[:, None], 3, axis=1)).to(torch.uint8)
    targets = Targets(torch.from_numpy(ids), classes, torch.zeros(2, 4).bool(), 2)
    torch.manual_seed(0)
    net, loss = Yolact(3, encoder=ENCODER, width=32, prototypes=8, levels=3, scale=2.0).train(), PrototypeMasks()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        torch.stack(list(loss(net(raw), targets).values())).sum().backward()
        optimiser.step()
    with torch.no_grad():
        answers = instances(net(raw), [(64, 64)] * 2, ClassSet(("disc", "square"), things=("disc", "square")), score=0.5)
    found = 0
    for answer, truth in zip(answers, ids[:, 0], strict=True):
        for row, index in enumerate([0, 1, 0, 1]):
            mask = truth == row + 1
            masks = answer.masks[answer.classes == index]
            found += any((other & mask).sum() > 0.6 * (other | mask).sum() for other in masks)
    assert found >= 7, found
    assert sum(map(len, answers)) <= 10
