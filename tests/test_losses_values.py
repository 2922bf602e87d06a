"""The values of the losses: by hand, against torch, and how they add up."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.core import Dense, Queries, Targets
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.losses.cross_entropy import CrossEntropy, cross_entropy_loss
from intarsia.losses.dice import Dice, dice_loss
from intarsia.losses.weighted_sum import WeightedSum


def sure(*classes: int, channels: int) -> torch.Tensor:
    """(1, C, 1, W) logits with all the probability on one class at each pixel."""
    return 1000.0 * torch.nn.functional.one_hot(torch.tensor(classes), channels).T[None, :, None].double()


def row(*labels: int) -> torch.Tensor:
    return torch.tensor(labels)[None, None]  # (1, 1, W)


@pytest.mark.parametrize(
    ("logits", "labels", "smooth", "present_only", "expected"),
    [
        # all right: (2*1 + 1) / (1 + 1 + 1) = 1 for both classes
        (sure(0, 1, channels=2), row(0, 1), 1, True, 0),
        # all wrong: 1 - 1 / (1 + 1 + 1) for both classes
        (sure(1, 0, channels=2), row(0, 1), 1, True, 2 / 3),
        # class 0: A = 2, B = 1, both = 1, so 1 - 3/4; class 1: A = 0, B = 1, so 1 - 1/2
        (sure(0, 0, channels=2), row(0, 1), 1, True, (1 / 4 + 1 / 2) / 2),
        # without the smooth term: 1 - 2/3 and 1 - 0/1
        (sure(0, 0, channels=2), row(0, 1), 0, True, (1 / 3 + 1) / 2),
        # even odds: A = 1, B = 2, both = 1: 1 - 3/4; class 1 is absent: not counted, or A = 1, B = 0: 1 - 1/2
        (torch.zeros(1, 2, 1, 2), row(0, 0), 1, True, 1 / 4),
        (torch.zeros(1, 2, 1, 2), row(0, 0), 1, False, (1 / 4 + 1 / 2) / 2),
        # the void pixel is in neither A nor B: as the first case
        (sure(0, 1, 1, channels=2), row(0, 1, -1), 1, True, 0),
        # 2 is no class of two channels: the same
        (sure(0, 1, 1, channels=2), row(0, 1, 2), 1, True, 0),
    ],
)
def test_dice_by_hand(logits: torch.Tensor, labels: torch.Tensor, smooth: float, present_only: bool, expected: float) -> None:
    assert float(dice_loss(logits, labels, smooth, present_only=present_only)) == pytest.approx(expected)


def test_dice_is_over_the_batch() -> None:
    """Two images of one pixel each, or one image of both: the same sets."""
    logits, labels = torch.randn(1, 3, 4, 5), torch.randint(-1, 3, (1, 4, 5))
    apart = dice_loss(logits[0].permute(1, 0, 2)[..., None, :], labels[0][:, None])  # (C, H, W) -> (H, C, 1, W)
    torch.testing.assert_close(apart, dice_loss(logits, labels))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans(), smoothing=st.sampled_from((0.0, 0.1)))
def test_cross_entropy_is_torchs(seed: int, weighted: bool, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 5, (2, 3, 4), generator=generator)
    labels[0, 0, 0] = 1  # torch's mean over no pixel is nan
    weights = torch.rand(5, generator=generator, dtype=torch.float64) + 0.1 if weighted else None
    expected = torch.nn.functional.cross_entropy(logits, labels, weights, ignore_index=-1, label_smoothing=smoothing)
    ours = cross_entropy_loss(logits, labels, None if weights is None else weights.tolist(), smoothing=smoothing)
    torch.testing.assert_close(ours, expected)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]).T.reshape(1, 2, 1, 2)  # odds 1:3 and 1:1
    labels = row(1, 0)
    assert float(cross_entropy_loss(logits, labels)) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert float(cross_entropy_loss(logits, labels, (2, 1))) == pytest.approx((math.log(4 / 3) + 2 * math.log(2)) / 3)


def test_a_class_of_weight_zero_alone() -> None:
    logits = torch.randn(1, 2, 1, 2, requires_grad=True)
    value = cross_entropy_loss(logits, row(0, 0), (0, 1))
    value.backward()
    assert value == 0
    assert logits.grad.eq(0).all()


TARGETS = Targets(torch.tensor([[[[1, 2], [-1, 2]]]]), torch.tensor([[0, 1]]), torch.zeros(1, 2, dtype=torch.bool), 2)


def test_weighted_sum_is_the_sum_of_its_parts() -> None:
    output = Dense(torch.randn(1, 2, 2, 2))
    terms = WeightedSum({"cross_entropy": 0.5, "dice": 2.0}, class_weights=(1, 3))(output, TARGETS)
    assert list(terms) == ["cross_entropy", "dice"]
    torch.testing.assert_close(terms["cross_entropy"], 0.5 * CrossEntropy(class_weights=(1, 3))(output, TARGETS)["cross_entropy"])
    torch.testing.assert_close(terms["dice"], 2 * Dice()(output, TARGETS)["dice"])
    assert terms["cross_entropy"] != 0.5 * CrossEntropy()(output, TARGETS)["cross_entropy"]


def test_a_loss_from_outside() -> None:
    terms = WeightedSum({"intarsia.losses.dice:Dice": 1.0})(Dense(torch.zeros(1, 2, 2, 2)), TARGETS)
    assert list(terms) == ["dice"]


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"cross_entropi": 1.0}, "losses 'cross_entropi': expected one of the catalogue. Did you mean 'cross_entropy'?"),
        ({"dice": -1.0}, "loss weights: expected at least one loss, none with a weight below 0, received {'dice': -1.0}"),
        ({}, "loss weights: expected at least one loss, none with a weight below 0, received {}"),
    ],
)
def test_wrong_names_and_weights(weights: dict[str, float], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        WeightedSum(weights)


def test_wrong_number_of_class_weights() -> None:
    text = "class_weights: expected 2 numbers, one for each channel, received 3"
    with pytest.raises(InvalidNoun, match=re.escape(text)):
        CrossEntropy(class_weights=(1, 2, 3))(Dense(torch.zeros(1, 2, 2, 2)), TARGETS)


def test_only_dense_outputs() -> None:
    cell = torch.zeros(1, 2, 3)
    with pytest.raises(InvalidNoun, match="loss: expected a Dense output, received Queries"):
        Dice()(Queries(cell, cell, torch.zeros(1, 3, 2, 2)), TARGETS)
