"""What every loss promises, over every file of losses/: a new loss is tested by being there."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest
import torch

from intarsia.core import Dense, Output, Targets
from intarsia.core.catalogue import find, members

CLASSES, SIZE = 4, (6, 7)

pytestmark = pytest.mark.parametrize("name", members("losses"))


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


def test_truth_costs_less(name: str) -> None:
    targets = truth()
    right = one_hot(targets.semantic(), 10)
    cost = total(name, said(right), targets)
    assert total(name, said(10 * right), targets) <= cost < total(name, said(right / 10), targets)
    for seed in range(5):
        noise = torch.randn(right.shape, generator=torch.Generator().manual_seed(seed), dtype=right.dtype)
        assert cost < total(name, said(right + 5 * noise), targets)


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


def test_gradient(name: str) -> None:
    targets = truth()
    logits = torch.randn(2, CLASSES, 3, 4, dtype=torch.float64, requires_grad=True)  # coarser than the labels
    assert torch.autograd.gradcheck(lambda logits: total(name, said(logits), targets), logits)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(name: str, dtype: torch.dtype) -> None:
    targets = truth()
    logits = torch.randn(2, CLASSES, *SIZE).to(dtype)
    value = total(name, said(logits), targets)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, total(name, said(logits.double()), targets).float())


def test_auxiliary_outputs_count_two_fifths(name: str) -> None:
    targets = truth()
    main, early = torch.randn(2, 2, CLASSES, 3, 4, dtype=torch.float64)
    expected = total(name, said(main), targets) + 0.4 * total(name, said(early), targets)
    torch.testing.assert_close(total(name, said(main, aux=(Dense(early),)), targets), expected)


def test_corner_convention(name: str) -> None:
    targets = truth()
    logits = torch.randn(2, CLASSES, 3, 4, dtype=torch.float64)
    for aligned in (False, True):
        whole = torch.nn.functional.interpolate(logits, size=SIZE, mode="bilinear", align_corners=aligned)
        torch.testing.assert_close(total(name, said(logits, align_corners=aligned), targets), total(name, said(whole), targets))


def test_volumes(name: str) -> None:
    ids = torch.ones(1, 1, 4, 6, 6).long()
    ids[..., 3:] = 2
    targets = Targets(ids, torch.tensor([[2, 0]]), torch.zeros(1, 2).bool(), CLASSES)
    logits = torch.zeros(1, CLASSES, 4, 6, 6)
    unsure = total(name, said(logits), targets)
    logits[:, 2, ..., :3] = logits[:, 0, ..., 3:] = 10
    assert total(name, said(logits), targets) < unsure
