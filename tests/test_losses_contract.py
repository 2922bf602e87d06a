"""What every loss promises, over every file of losses/: a new loss is tested by being there.

Most read the logits of a Dense output. What another kind of answer is when it is right, `OTHERS` says; `regions` hands on what the
network has taken of itself, and has a test of its own.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest
import torch

from intarsia.core import Dense, Output, Queries, Regions, Targets
from intarsia.core.catalogue import find, members

CLASSES, SIZE = 4, (6, 7)

OTHERS = {"centre": "heat", "offset": "heat", "mask_set": "masks", "prototype_masks": "anchored", "regions": ""}
DENSE = pytest.mark.parametrize("name", [name for name in members("losses") if name not in OTHERS])


def made(name: str, **options: Any) -> Any:
    """The loss as it stands, but for those of the options that it has."""
    loss = find("losses", name)
    return loss(**{option: value for option, value in options.items() if option in signature(loss).parameters})


def truth(void: bool = True) -> Targets:
    """Two images of random patches, every class present, with a void strip."""
    torch.manual_seed(0)
    ids = torch.randint(1, CLASSES + 1, (2, 1, 3, 7)).repeat_interleave(2, dim=2)  # (B, L, H, W)
    if void:
        ids[..., -2:] = -1
    return Targets(ids, torch.arange(CLASSES).repeat(2, 1), torch.zeros(2, CLASSES, dtype=torch.bool), CLASSES)


def one_hot(labels: torch.Tensor, scale: float) -> torch.Tensor:
    """(B, *S) -> (B, C, *S) logits that say the labels, and class 0 where these are void."""
    return scale * torch.nn.functional.one_hot(labels.clamp(min=0), CLASSES).movedim(-1, 1).double()


def said(logits: torch.Tensor, **fields: Any) -> Output:
    return Dense(logits, **fields)


def total(name: str, output: Output, targets: Targets, **options: Any) -> torch.Tensor:
    terms = made(name, **options)(output, targets)
    assert all(term.ndim == 0 for term in terms.values())
    return torch.stack(list(terms.values())).sum()


@DENSE
def test_truth_costs_less(name: str) -> None:
    targets = truth()
    right = one_hot(targets.semantic(), 10)
    cost = total(name, said(right), targets)
    assert total(name, said(10 * right), targets) <= cost < total(name, said(right / 10), targets)
    for seed in range(5):
        noise = torch.randn(right.shape, generator=torch.Generator().manual_seed(seed), dtype=right.dtype)
        assert cost < total(name, said(right + 5 * noise), targets)


@DENSE
def test_void_is_never_trained(name: str) -> None:
    targets = truth()
    void = targets.semantic() < 0
    logits = torch.randn(2, CLASSES, *SIZE, dtype=torch.float64)
    for anything in (100 * torch.randn_like(logits), *torch.tensor([torch.inf, -torch.inf, torch.nan])):
        other = torch.where(void[:, None], anything, logits).requires_grad_()
        value = total(name, said(other), targets)
        value.backward()
        assert torch.equal(value, total(name, said(logits), targets))
        assert other.grad.masked_select(void[:, None]).eq(0).all()
        assert other.grad.masked_select(~void[:, None]).ne(0).any()


@DENSE
def test_gradient(name: str) -> None:
    targets = truth()
    logits = torch.randn(2, CLASSES, 3, 4, dtype=torch.float64, requires_grad=True)  # coarser than the labels
    assert torch.autograd.gradcheck(lambda logits: total(name, said(logits), targets), logits)


@DENSE
@pytest.mark.parametrize("options", [{}, {"smooth": 0.0}, {"smooth": 0.0, "per_image": True}])
@pytest.mark.parametrize("identity", [-1, 0])
def test_empty_target(name: str, identity: int, options: dict[str, Any]) -> None:
    """Nothing but void, or nothing at all and no channel for it: no loss, no gradient, no nan."""
    targets = Targets(torch.full((2, 1, *SIZE), identity), torch.zeros(2, 0).long(), torch.zeros(2, 0).bool(), CLASSES)
    logits = torch.randn(2, CLASSES, *SIZE, requires_grad=True)
    value = total(name, said(logits), targets, **options)
    value.backward()
    assert value == 0
    assert logits.grad.eq(0).all()


@DENSE
def test_a_class_of_its_own_for_nothing(name: str) -> None:
    """With one more channel, what no segment covers, here all but a line of class 1, is trained as the last."""
    ids = torch.zeros(1, 1, 7, 9).long()
    ids[..., 3, :] = 1
    targets = Targets(ids, torch.tensor([[1]]), torch.zeros(1, 1).bool(), CLASSES)
    logits = torch.zeros(1, CLASSES + 1, 7, 9, requires_grad=True)
    total(name, said(logits), targets).backward()
    nothing = logits.grad.movedim(1, -1)[(ids == 0)[:, 0]].sum(dim=0)  # (C)
    line = logits.grad.movedim(1, -1)[(ids == 1)[:, 0]].sum(dim=0)
    assert nothing[-1] < 0 < nothing[1]
    assert line[1] < 0 < line[-1]


@DENSE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(name: str, dtype: torch.dtype) -> None:
    targets = truth()
    logits = torch.randn(2, CLASSES, *SIZE).to(dtype)
    value = total(name, said(logits), targets)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, total(name, said(logits.double()), targets).float())


@DENSE
def test_auxiliary_outputs_count_two_fifths(name: str) -> None:
    targets = truth()
    main, early = torch.randn(2, 2, CLASSES, 3, 4, dtype=torch.float64)
    expected = total(name, said(main), targets) + 0.4 * total(name, said(early), targets)
    torch.testing.assert_close(total(name, said(main, aux=(Dense(early),)), targets), expected)


@DENSE
def test_corner_convention(name: str) -> None:
    targets = truth()
    logits = torch.randn(2, CLASSES, 3, 4, dtype=torch.float64)
    for aligned in (False, True):
        whole = torch.nn.functional.interpolate(logits, size=SIZE, mode="bilinear", align_corners=aligned)
        torch.testing.assert_close(total(name, said(logits, align_corners=aligned), targets), total(name, said(whole), targets))


@DENSE
def test_volumes(name: str) -> None:
    ids = torch.ones(1, 1, 4, 6, 6).long()
    ids[..., 3:] = 2
    targets = Targets(ids, torch.tensor([[2, 0]]), torch.zeros(1, 2).bool(), CLASSES)
    logits = torch.zeros(1, CLASSES, 4, 6, 6)
    unsure = total(name, said(logits), targets)
    logits[:, 2, ..., :3] = logits[:, 0, ..., 3:] = 10
    assert total(name, said(logits), targets) < unsure


# -- what is not logits --------------------------------------------------------------------------------------------------------


def heat(targets: Targets) -> dict[str, torch.Tensor]:
    """Gaussians on the centres of mass, and the way there."""
    masks = torch.stack([targets.masks(image) for image in range(len(targets.ids))]).double()  # (B, N, *S)
    size = masks.shape[2:]
    cells = torch.stack(torch.meshgrid(*(torch.arange(length).double() for length in size), indexing="ij"))  # (d, *S)
    axes = tuple(range(3, 3 + len(size)))
    pixels = masks.sum(dim=tuple(axis - 1 for axis in axes))  # (B, N)
    middles = (masks[:, :, None] * cells).sum(dim=axes) / pixels[..., None]  # (B, N, d)
    columns = (..., *[None] * len(size))
    far = (cells - middles.round()[columns]).square().sum(dim=2)  # (B, N, *S)
    offset = (masks[:, :, None] * (middles[columns] - cells)).sum(dim=1)  # (B, d, *S)
    return {"centre": (-far / 8).exp().amax(dim=1, keepdim=True), "offset": offset}


def masks(targets: Targets) -> dict[str, torch.Tensor]:
    """A query for each row."""
    classes = targets.classes
    own = torch.stack([targets.masks(image) for image in range(len(targets.ids))]).double()
    said = torch.nn.functional.one_hot(classes, targets.num_classes + 1).double()
    return {"classes": 10 * said, "prototypes": 20 * own - 10}


def speak(name: str, said: dict[str, torch.Tensor]) -> Output:
    """The output that holds these tensors."""
    if OTHERS[name] == "heat":
        return Dense(said["centre"], centre=said["centre"], offset=said["offset"])
    queries = said["prototypes"].shape[1]
    return Queries(said["classes"], torch.eye(queries).to(said["classes"]).repeat(len(said["classes"]), 1, 1), said["prototypes"])


def right_of(name: str, targets: Targets) -> dict[str, torch.Tensor]:
    return {"heat": heat, "masks": masks}[OTHERS[name]](targets)


def maps(said: dict[str, torch.Tensor]) -> list[str]:
    """Those that have a value at each pixel."""
    return [key for key, tensor in said.items() if tensor.ndim > 3]


ELSE = pytest.mark.parametrize("name", ["centre", "offset", "mask_set"])


@ELSE
def test_truth_costs_less_in_other_words(name: str) -> None:
    targets = truth()
    right = right_of(name, targets)
    cost = total(name, speak(name, right), targets)
    assert cost < total(name, speak(name, {key: tensor / 10 for key, tensor in right.items()}), targets)
    for seed in range(5):
        torch.manual_seed(seed)
        wrong = {key: tensor + 5 * torch.randn_like(tensor) for key, tensor in right.items()}
        assert cost < total(name, speak(name, wrong), targets)


@ELSE
def test_void_is_never_trained_in_other_words(name: str) -> None:
    targets = truth()
    void = (targets.semantic() < 0)[:, None]
    said = {key: torch.randn_like(tensor) for key, tensor in right_of(name, targets).items()}
    expected = total(name, speak(name, said), targets)
    other = {key: tensor.clone().requires_grad_() for key, tensor in said.items()}
    with torch.no_grad():
        for key in maps(other):
            other[key][void.expand_as(other[key])] = 100 * torch.randn(())
    value = total(name, speak(name, other), targets)
    value.backward()
    torch.testing.assert_close(value, expected, rtol=0, atol=0)
    asked = [key for key in maps(other) if other[key].grad is not None]
    assert asked
    for key in asked:
        assert other[key].grad.masked_select(void).eq(0).all()
        assert other[key].grad.masked_select(~void).ne(0).any()


@ELSE
def test_gradient_in_other_words(name: str) -> None:
    targets = truth()
    keys, right = zip(*right_of(name, targets).items(), strict=True)
    said = [torch.randn_like(tensor).requires_grad_() for tensor in right]
    assert torch.autograd.gradcheck(lambda *said: total(name, speak(name, dict(zip(keys, said, strict=True))), targets), said)


@ELSE
def test_empty_target_in_other_words(name: str) -> None:
    """Nothing but void teaches nothing; nothing at all is no nan."""
    said = {key: torch.randn_like(tensor).requires_grad_() for key, tensor in right_of(name, truth()).items()}
    for identity in (-1, 0):
        targets = Targets(torch.full((2, 1, *SIZE), identity), torch.zeros(2, 0).long(), torch.zeros(2, 0).bool(), CLASSES)
        value = total(name, speak(name, said), targets)
        value.backward()
        assert value.isfinite()
        assert identity or value >= 0
        if identity:
            assert value == 0
            assert all(tensor.grad is None or tensor.grad.eq(0).all() for tensor in said.values())


@ELSE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_other_words(name: str, dtype: torch.dtype) -> None:
    targets = truth()
    said = {key: torch.randn_like(tensor).to(dtype) for key, tensor in right_of(name, targets).items()}
    value = total(name, speak(name, said), targets)
    assert value.dtype == torch.float32
    exact = total(name, speak(name, {key: tensor.double() for key, tensor in said.items()}), targets)
    torch.testing.assert_close(value, exact.float(), rtol=1e-4, atol=1e-4)


def test_regions_hand_on_what_the_network_took() -> None:
    targets = truth()
    box = torch.tensor(3.0, requires_grad=True)
    assert float(total("regions", Regions(losses={"box": box, "mask": box}), targets, weight=2.0)) == 12
    assert set(OTHERS) == {name for name in members("losses") if name in OTHERS}
