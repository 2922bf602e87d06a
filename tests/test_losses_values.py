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
from intarsia.losses.focal import Focal, focal_loss
from intarsia.losses.tversky import Tversky
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


FIVE = torch.tensor([0.9, 0.2, 0.6, 0.4, 0.99]).logit()[None, None, None]  # chances of class 0 in five pixels, the last one void
FIVE = torch.cat([FIVE, torch.zeros_like(FIVE)], dim=1)  # (1, 2, 1, 5)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"keep": 0.5}, (0.2, 0.4)),
        ({"keep": 0.51}, (0.2, 0.4, 0.6)),  # rounded up
        ({"keep": 0.01}, (0.2,)),
        ({"threshold": 0.7}, (0.2, 0.4, 0.6)),
        ({"threshold": 0.1}, (0.2,)),  # none is so hard: the least share, rounded up
        ({"threshold": 0.3, "min_keep": 0.5}, (0.2, 0.4)),
        ({"threshold": 1.0}, (0.2, 0.4, 0.6, 0.9)),
    ],
)
def test_the_hardest_pixels_by_hand(options: dict[str, float], kept: tuple[float, ...]) -> None:
    logits = FIVE.clone().requires_grad_()
    value = cross_entropy_loss(logits, row(0, 0, 0, 0, -1), **options)
    assert value.item() == pytest.approx(-sum(map(math.log, kept)) / len(kept), rel=1e-5)
    value.backward()
    assert logits.grad[0, 0, 0].ne(0).sum() == len(kept)


def test_hard_pixels_have_weights_too() -> None:
    value = cross_entropy_loss(FIVE, row(0, 1, 0, 1, -1), (1, 3), keep=0.5)  # hardest: 1 - 0.4 for class 1, 0.6 for class 0
    assert float(value) == pytest.approx((-math.log(0.6) - 3 * math.log(0.6)) / 4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keep": 0.0}, "cross_entropy keep: expected a number above 0, up to 1, received 0.0"),
        ({"threshold": 1.5}, "cross_entropy threshold: expected a number above 0, up to 1, received 1.5"),
        ({"keep": 0.5, "threshold": 0.5}, "cross_entropy: expected keep or threshold, received keep=0.5 and threshold=0.5"),
    ],
)
def test_wrong_choices_of_pixels(options: dict[str, float], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        CrossEntropy(**options)


def test_focal_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(3)]).reshape(1, 2, 1, 1)  # odds 1:3
    assert float(focal_loss(logits, row(0), 2)) == pytest.approx((3 / 4) ** 2 * math.log(4))
    assert float(focal_loss(logits, row(1), 0.5, (1, 5))) == pytest.approx(5 * (1 / 4) ** 0.5 * math.log(4 / 3))
    torch.testing.assert_close(focal_loss(FIVE, row(0, 1, 0, 1, -1), 0), cross_entropy_loss(FIVE, row(0, 1, 0, 1, -1)))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_gradient_where_it_is_sure(gamma: float) -> None:
    logits = sure(0, 1, channels=2).requires_grad_()
    focal_loss(logits, row(0, 0), gamma).backward()
    assert logits.grad.isfinite().all()


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


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"options": {"focal": {"gama": 1}}}, "loss 'focal': expected its own options, received 'gama'. Did you mean 'gamma'?"),
        ({"options": {"focal": {"weight": 1}}}, "loss 'focal': expected its own options, received 'weight'. Did you mean"),
        ({"options": {"focl": {}}}, "options of loss 'focl': expected a loss of the sum. Did you mean 'focal'?"),
        ({"aux_weight": -0.1}, "aux_weight: expected numbers of at least 0, received -0.1"),
        ({"aux_weight": (1, -1)}, "aux_weight: expected numbers of at least 0, received (1, -1)"),
    ],
)
def test_wrong_options(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        WeightedSum({"focal": 1.0, "dice": 1.0}, **options)


def test_options_reach_their_loss() -> None:
    output = Dense(torch.randn(1, 2, 2, 2))
    options = {"focal": {"gamma": 0.5, "alpha": (1, 3)}, "tversky": {"beta": 0.2}}
    terms = WeightedSum({"focal": 1.0, "tversky": 1.0}, options=options)(output, TARGETS)
    assert terms["focal"] == Focal(gamma=0.5, alpha=(1, 3))(output, TARGETS)["focal"] != Focal()(output, TARGETS)["focal"]
    assert terms["tversky"] == Tversky(beta=0.2)(output, TARGETS)["tversky"] != Tversky()(output, TARGETS)["tversky"]


@pytest.mark.parametrize("aux_weight", [0.0, 0.25, (0.25, 0.5), (0.5, 0.0)])
def test_deep_supervision(aux_weight: float | tuple[float, ...]) -> None:
    main, first, second = (Dense(torch.randn(1, 2, 2, 2)) for _ in range(3))
    weights = aux_weight if isinstance(aux_weight, tuple) else (aux_weight, aux_weight)
    [value] = WeightedSum({"dice": 2.0}, aux_weight=aux_weight)(Dense(main.logits, aux=(first, second)), TARGETS).values()
    parts = [Dice()(one, TARGETS)["dice"] for one in (main, first, second)]
    torch.testing.assert_close(value, 2 * (parts[0] + weights[0] * parts[1] + weights[1] * parts[2]))


def test_wrong_number_of_auxiliary_weights() -> None:
    loss, output = WeightedSum(aux_weight=(1, 2)), Dense(torch.zeros(1, 2, 2, 2))
    assert len(loss(output, TARGETS)) == 2  # a network in evaluation mode has none
    with pytest.raises(InvalidNoun, match="aux_weight: expected 1 numbers, one for each auxiliary output, received 2"):
        loss(Dense(output.logits, aux=(output,)), TARGETS)


def test_wrong_number_of_class_weights() -> None:
    text = "class_weights: expected 2 numbers, one for each channel, received 3"
    with pytest.raises(InvalidNoun, match=re.escape(text)):
        CrossEntropy(class_weights=(1, 2, 3))(Dense(torch.zeros(1, 2, 2, 2)), TARGETS)


def test_only_dense_outputs() -> None:
    cell = torch.zeros(1, 2, 3)
    with pytest.raises(InvalidNoun, match="loss: expected a Dense output, received Queries"):
        Dice()(Queries(cell, cell, torch.zeros(1, 3, 2, 2)), TARGETS)
