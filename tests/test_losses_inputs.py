"""What the losses are given: options, sizes, labels of any sign, and logits that are no numbers where nobody asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

import pytest
import torch

from intarsia.core import Dense, Targets
from intarsia.core.catalogue import find, members
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.losses import _class_sums
from intarsia.losses.focal import Focal
from intarsia.losses.weighted_sum import WeightedSum

CLASSES = 3
OTHERS = {"centre", "mask_set", "offset", "prototype_masks", "regions", "weighted_sum"}
"""Those that read no logits for each pixel, and the sum."""
NAMES = [name for name in members("losses") if name not in OTHERS]
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    name: getattr(import_module(f"intarsia.losses.{name}"), f"{name}_loss") for name in NAMES
}
VARIANTS: dict[str, Callable[..., torch.Tensor]] = LOSSES | {
    "smoothed": partial(LOSSES["cross_entropy"], smoothing=0.1),
    "weighted and smoothed": partial(LOSSES["cross_entropy"], class_weights=(1, 2, 3), smoothing=0.1),
    "hardest": partial(LOSSES["cross_entropy"], keep=0.5),
    "hard enough": partial(LOSSES["cross_entropy"], threshold=0.7),
    "weighted focal": partial(LOSSES["focal"], alpha=(1, 2, 3)),
}
every_loss = pytest.mark.parametrize("name", VARIANTS)


def case(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, CLASSES, 8, 9, generator=generator).to(dtype)
    return logits, torch.randint(-1, CLASSES + 1, (2, 8, 9), generator=generator)  # 3 is no channel: void


def answer(name: str, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and gradient."""
    logits = logits.clone().requires_grad_()
    value = VARIANTS[name](logits, labels)
    return value.detach(), torch.autograd.grad(value, logits)[0]


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("wrong", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("channels", [[0], [1, 2], [0, 1, 2]])
def test_void_may_hold_anything(
    name: str, dtype: torch.dtype, wrong: float, channels: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_class_sums, "BLOCK", 16)
    logits, labels = case(dtype)
    void = (labels < 0) | (labels == CLASSES)
    spoilt = logits.clone()
    for channel in channels:
        spoilt[:, channel][void] = wrong
    for ours, wanted in zip(answer(name, spoilt, labels), answer(name, logits, labels), strict=True):
        assert torch.equal(ours, wanted)
        assert ours.isfinite().all()
    assert answer(name, spoilt, labels)[1].movedim(1, -1)[void].eq(0).all()


@every_loss
def test_a_labelled_pixel_that_is_no_number_shows(name: str) -> None:
    """A training that diverges must not look well."""
    logits, labels = case()
    logits[0, 1][labels[0] == 1] = torch.nan
    assert answer(name, logits, labels)[0].isnan()


@every_loss
def test_any_label_below_zero_is_void(name: str) -> None:
    logits, labels = case()
    for ours, wanted in zip(answer(name, logits, labels.where(labels >= 0, -100)), answer(name, logits, labels), strict=True):
        assert torch.equal(ours, wanted)


@every_loss
@pytest.mark.parametrize(
    ("logits", "labels"),
    [((3, 8, 8), (8, 8)), ((2, 3, 8, 8), (2, 4, 8)), ((2, 3, 8, 8), (1, 8, 8)), ((2, 3, 8, 8), (2, 1, 8, 8)), ((2, 3, 8), (2, 8))],
)
def test_sizes_that_do_not_fit(name: str, logits: tuple[int, ...], labels: tuple[int, ...]) -> None:
    text = (
        f"logits and labels of a loss: expected (B, C, *S) and (B, *S), received {logits} and {labels}. "
        "Both begin with the batch, and logits are brought to the size of the labels first (torch's interpolate)"
    )
    with pytest.raises(InvalidNoun, match=re.escape(text)):
        VARIANTS[name](torch.zeros(logits), torch.zeros(labels).long())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("cross_entropy", "focal")])
def test_classes_that_are_no_channels(name: str) -> None:
    with pytest.raises(InvalidNoun, match=re.escape("classes of a loss: expected channels 0..2, received [1, 3]")):
        LOSSES[name](*case(), classes=[1, 3])


@pytest.mark.parametrize("name", [name for name in NAMES if "smooth" in signature(find("losses", name)).parameters])
@pytest.mark.parametrize("options", [{}, {"per_image": True}, {"present_only": False}, {"per_image": True, "present_only": False}])
@pytest.mark.parametrize("empty", [1, 2])
def test_nothing_labelled_without_the_smooth_term(name: str, options: dict[str, bool], empty: int) -> None:
    """An image of void alone costs nothing, with or without another beside it; so does what is predicted nowhere."""
    logits, labels = case()
    labels[:empty] = -1
    logits[:, 2] = -1000
    logits.requires_grad_()
    value = LOSSES[name](logits, labels, smooth=0, **options)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[:empty].eq(0).all()
    assert (value == 0) == (empty == 2)


@pytest.mark.parametrize(
    ("loss", "options", "text"),
    [
        ("focal", {"gamma": -1}, "focal gamma: expected a number of at least 0, received -1"),
        ("focal", {"gamma": float("nan")}, "focal gamma: expected a number of at least 0, received nan"),
        ("focal", {"alpha": [1, "b"]}, "focal alpha: expected a list of numbers of at least 0, received [1, 'b']"),
        ("focal", {"alpha": 0.25}, "focal alpha: expected a list of numbers of at least 0, received 0.25"),
        ("dice", {"smooth": -3}, "dice smooth: expected a number of at least 0, received -3"),
        ("dice", {"smooth": True}, "dice smooth: expected a number of at least 0, received True"),
        ("dice", {"per_image": "no"}, "dice per_image: expected true or false, received 'no'"),
        ("generalised_dice", {"power": "two"}, "generalised_dice power: expected a number of at least 0, received 'two'"),
        ("generalised_dice", {"present_only": 1}, "generalised_dice present_only: expected true or false, received 1"),
        ("tversky", {"gamma": 0.5}, "tversky gamma: expected a number of at least 1, received 0.5"),
        ("tversky", {"alpha": -1}, "tversky alpha: expected a number of at least 0, received -1"),
        ("tversky", {"per_image": None}, "tversky per_image: expected true or false, received None"),
        ("lovasz_softmax", {"per_image": "a"}, "lovasz_softmax per_image: expected true or false, received 'a'"),
        ("boundary", {"present_only": "a"}, "boundary present_only: expected true or false, received 'a'"),
        ("hausdorff", {"alpha": 0}, "hausdorff alpha: expected a number above 0, received 0"),
        ("cldice", {"iterations": 2.5}, "cldice iterations: expected a whole number of at least 0, received 2.5"),
        ("cldice", {"classes": 1}, "cldice classes: expected a list of class indices, received 1"),
        ("cldice", {"per_image": "a"}, "cldice per_image: expected true or false, received 'a'"),
        ("cross_entropy", {"keep": "a"}, "cross_entropy keep: expected a number above 0, up to 1, received 'a'"),
        ("cross_entropy", {"keep": None}, "cross_entropy keep: expected a number above 0, up to 1, received None"),
        ("cross_entropy", {"smoothing": -0.1}, "cross_entropy smoothing: expected a number of at least 0, below 1, received -0.1"),
        ("cross_entropy", {"class_weights": [-1, 2]}, "class_weights: expected a list of numbers of at least 0, received [-1, 2]"),
        ("dice", 3, "options of loss 'dice': expected values by name, received 3"),
    ],
)
def test_options_that_make_no_sense(loss: str, options: Any, text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text) + "$"):
        WeightedSum({loss: 1.0}, options={loss: options})


@pytest.mark.parametrize(
    ("name", "options"),
    [("dice", {"smooth": -3}), ("focal", {"gamma": -1}), ("cldice", {"iterations": 2.5}), ("hausdorff", {"alpha": -1})],
)
def test_functions_ask_too(name: str, options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=f"{name} {next(iter(options))}: expected a"):
        LOSSES[name](*case(), **options)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"weights": {"dice": "a"}},
            "loss weights: expected at least one loss, none with a weight below 0, received {'dice': 'a'}",
        ),
        ({"aux_weight": "a"}, "aux_weight: expected numbers of at least 0, received 'a'"),
        ({"aux_weight": (1, None)}, "aux_weight: expected numbers of at least 0, received (1, None)"),
    ],
)
def test_weights_that_are_no_numbers(given: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        WeightedSum(**given)


# -- class weights -----------------------------------------------------------------------------------------------------------

TARGETS = Targets(torch.tensor([[[[1, 2], [-1, 2]]]]), torch.tensor([[0, 1]]), torch.zeros(1, 2, dtype=torch.bool), 2)


def test_class_weights_that_no_loss_takes() -> None:
    text = "--class-weights: expected a loss that takes them, such as cross_entropy, received dice, boundary"
    with pytest.raises(OptionError, match=text):
        WeightedSum({"dice": 1.0, "boundary": 0.1}, class_weights=[1, 2])
    WeightedSum({"dice": 1.0, "cross_entropy": 1.0}, class_weights=[1, 2])


def test_class_weights_are_the_alpha_of_focal() -> None:
    output = Dense(torch.randn(1, 2, 2, 2))
    [ours] = WeightedSum({"focal": 1.0}, class_weights=[1, 3])(output, TARGETS).values()
    assert ours == Focal(alpha=[1, 3])(output, TARGETS)["focal"] != Focal()(output, TARGETS)["focal"]
    [ours] = WeightedSum({"focal": 1.0}, class_weights=[1, 3], options={"focal": {"alpha": [5, 1]}})(output, TARGETS).values()
    assert ours == Focal(alpha=[5, 1])(output, TARGETS)["focal"]
