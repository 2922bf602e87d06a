"""The losses of centres and offsets: what they are taught, by the authors' own way of drawing it, and what they leave alone."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
import torch

from intarsia.core import Dense, Queries, Targets
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.losses._centres import placed
from intarsia.losses.centre import Centre, centre_heat
from intarsia.losses.offset import Offset

SIZE = (24, 30)


def targets(ids: Any, classes: list[int] | None = None, crowd: list[bool] | None = None, num_classes: int = 3) -> Targets:
    """One image: `ids` (L, *S) or (*S)."""
    ids = torch.as_tensor(np.asarray(ids))
    ids = ids if ids.ndim == 3 else ids[None]
    rows = int(ids.max()) if classes is None else len(classes)
    given = [0] * rows if classes is None else classes
    flags = [False] * rows if crowd is None else crowd
    return Targets(ids[None], torch.tensor([given]).view(1, rows), torch.tensor([flags]).bool().view(1, rows), num_classes)


def batch(seed: int = 0) -> Targets:
    """Two images of random rectangles of three classes in two layers, with void, a crowd and a row without pixels."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((2, 2, *SIZE), np.int64)
    for image in ids:
        for row in range(1, 7):
            y, x = rng.integers(0, 18), rng.integers(0, 24)
            image[rng.integers(2), y : y + rng.integers(2, 9), x : x + rng.integers(2, 9)] = row
        image[0, :3, :5] = -1
    classes = torch.tensor([[0, 1, 2, 2, 1, 0, 2], [2, 2, 2, 0, 1, -1, -1]])
    ids[1][ids[1] > 5] = 0
    crowd = torch.zeros(2, 7).bool()
    crowd[0, 3] = True
    return Targets(torch.from_numpy(ids), classes, crowd, 3)


def drawn(truth: Targets, image: int, things: list[int], sigma: float) -> tuple[np.ndarray, ...]:
    """Heat, offsets and their weights of one image at its own size, object by object as in the authors' PanopticTargetGenerator."""
    ids = truth.ids[image].numpy()
    seen = np.where(ids[0] < 0, -1, ids.max(axis=0))
    height, width = seen.shape
    heat, offset = np.zeros(seen.shape), np.zeros((2, *seen.shape))
    heat_weight, offset_weight = (seen >= 0).astype(float), np.zeros(seen.shape)
    reach = int(np.ceil(3 * sigma))
    for row, (category, crowd) in enumerate(zip(truth.classes[image].tolist(), truth.crowd[image].tolist(), strict=True), start=1):
        mask = seen == row
        if crowd:
            heat_weight[mask] = 0
        if category not in things or crowd or not mask.any():
            continue
        ys, xs = np.nonzero(mask)
        middle = ys.mean(), xs.mean()
        offset_weight[mask] = 1
        offset[0][mask], offset[1][mask] = middle[0] - ys, middle[1] - xs
        y, x = (int(np.rint(np.float32(value))) for value in middle)
        for at_y in range(max(0, y - reach), min(height, y + reach + 1)):
            for at_x in range(max(0, x - reach), min(width, x + reach + 1)):
                value = exp(-((at_y - y) ** 2 + (at_x - x) ** 2) / (2 * sigma**2))
                heat[at_y, at_x] = max(heat[at_y, at_x], value)
    return heat, offset, heat_weight, offset_weight


def said(centre: torch.Tensor | None = None, offset: torch.Tensor | None = None, **more: Any) -> Dense:
    given = centre if centre is not None else offset
    assert given is not None
    return Dense(given.new_zeros((len(given), 4, *given.shape[2:])), centre=centre, offset=offset, **more)


@pytest.mark.parametrize("things", [None, [1, 2]])
@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_the_losses_are_those_of_the_authors_targets(things: list[int] | None, sigma: float) -> None:
    truth = batch()
    centre, offset = torch.randn(2, 1, *SIZE).double(), 5 * torch.randn(2, 2, *SIZE).double()
    parts = [drawn(truth, image, [0, 1, 2] if things is None else things, sigma) for image in range(2)]
    heat, wanted, known, inside = (torch.from_numpy(np.stack(kind)) for kind in zip(*parts, strict=True))
    assert 0 < inside.sum() < known.sum() < known.numel()
    expected = ((centre[:, 0] - heat).square() * known).sum() / known.sum()
    torch.testing.assert_close(Centre(1.0, things, sigma)(said(centre), truth)["centre"], expected, rtol=1e-5, atol=1e-6)
    expected = ((offset - wanted).abs() * inside[:, None]).sum() / inside.sum() / 2
    torch.testing.assert_close(Offset(1.0, things)(said(offset=offset), truth)["offset"], expected, rtol=1e-5, atol=1e-6)


def test_the_middle_of_an_object_in_cells() -> None:
    """Of an object over rows 2..5 and columns 4..11: between pixels 3 and 4, 7 and 8, and between cells 1 and 2 of four."""
    ids = np.zeros((8, 16), int)
    ids[2:6, 4:12] = 1
    truth = targets(ids)
    assert placed(truth, (8, 16), None).centres.tolist() == [[[3.5, 7.5]]]
    assert placed(truth, (4, 4), None).centres.tolist() == [[[1.5, 1.5]]]
    assert placed(truth, (4, 4), None).rows.tolist() == [[[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]]
    aligned = placed(truth, (8, 6), None, align_corners=True)  # cells at pixels 0, 3, 6, ... 15
    assert aligned.centres.tolist() == [[[3.5, 2.5]]]
    assert aligned.rows[0, 3].tolist() == [0, 0, 1, 1, 0, 0]


def test_offsets_of_a_coarse_grid() -> None:
    ids = np.zeros((8, 16), int)
    ids[2:6, 4:12] = 1
    half = torch.tensor([0.5, -0.5])
    offset = torch.zeros(1, 2, 4, 4)
    offset[0, 0, 1:3, 1:3], offset[0, 1, 1:3, 1:3] = half[:, None], half
    assert Offset()(said(offset=offset), targets(ids))["offset"] == 0
    assert Offset(0.5)(said(offset=offset + 1), targets(ids))["offset"] == 0.5


def test_heat_is_the_higher_one_between_two_objects() -> None:
    heat = centre_heat(torch.tensor([[[0.0, 0.0], [0.0, 3.0], [0.0, 5.0]]]), torch.tensor([[True, True, False]]), (1, 6), 1.0)
    expected = torch.tensor([1, exp(-0.5), exp(-0.5), 1, exp(-0.5), exp(-2)])
    torch.testing.assert_close(heat[0, 0], expected)
    assert centre_heat(torch.zeros(2, 0, 2), torch.zeros(2, 0).bool(), (3, 4), 2.0).eq(0).all()


@pytest.mark.parametrize("anything", [100.0, torch.inf, -torch.inf, torch.nan])
def test_void_and_crowds_are_never_trained(anything: float) -> None:
    truth = batch()
    untrained = torch.from_numpy(np.stack([drawn(truth, image, [0, 1, 2], 1.0)[2] for image in range(2)]) == 0)[:, None]
    centre = torch.randn(2, 1, *SIZE)
    other = centre.masked_fill(untrained, anything).requires_grad_()
    value = Centre()(said(other), truth)["centre"]
    value.backward()
    assert value == Centre()(said(centre), truth)["centre"]
    assert other.grad[untrained].eq(0).all()
    assert other.grad[~untrained].ne(0).all()
    outside = torch.from_numpy(np.stack([drawn(truth, image, [0, 1, 2], 1.0)[3] for image in range(2)]) == 0)[:, None]
    offset = torch.randn(2, 2, *SIZE)
    other = offset.masked_fill(outside, anything).requires_grad_()
    value = Offset()(said(offset=other), truth)["offset"]
    value.backward()
    assert value == Offset()(said(offset=offset), truth)["offset"]
    assert other.grad.masked_select(outside).eq(0).all()
    assert other.grad.masked_select(~outside).ne(0).all()


@pytest.mark.parametrize("identity", [-1, 0])
@pytest.mark.parametrize("rows", [0, 2])
def test_without_objects(identity: int, rows: int) -> None:
    """Void: nothing to learn. Nothing there: no heat, and no offset anywhere."""
    truth = targets(np.full((6, 8), identity), [0] * rows)
    centre, offset = torch.ones(1, 1, 3, 4, requires_grad=True), torch.randn(1, 2, 3, 4, requires_grad=True)
    cost = Centre()(said(centre), truth)["centre"]
    way = Offset()(said(offset=offset), truth)["offset"]
    (cost + way).backward()
    assert (cost, way) == (1 + identity, 0)
    assert offset.grad.eq(0).all()
    assert centre.grad.ne(0).all() == (identity == 0)


def test_gradient() -> None:
    truth = batch()
    centre, offset = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True).split([1, 2], dim=1)
    assert torch.autograd.gradcheck(lambda centre: Centre()(said(centre), truth)["centre"], centre)
    assert torch.autograd.gradcheck(lambda offset: Offset()(said(offset=offset), truth)["offset"], offset)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    truth = batch()
    centre, offset = (300 * torch.randn(2, count, *SIZE).to(dtype) for count in (1, 2))
    for loss, half, whole in (
        (Centre(), said(centre), said(centre.float())),
        (Offset(), said(offset=offset), said(offset=offset.float())),
    ):
        [(value, expected)] = zip(loss(half, truth).values(), loss(whole, truth).values(), strict=True)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected)


def test_volumes() -> None:
    ids = torch.zeros(1, 1, 4, 6, 6).long()
    ids[..., 1:3, 2:4, 3:5] = 1
    truth = Targets(ids, torch.tensor([[0]]), torch.zeros(1, 1).bool(), 1)
    there = placed(truth, (2, 3, 3), None)
    assert there.centres.tolist() == [[[0.5, 1.0, 1.5]]]
    assert centre_heat(there.centres, there.objects, (2, 3, 3), 1.0).argmax().item() == 5  # 0.5 and 1.5 round to even
    assert Offset()(said(offset=torch.zeros(1, 3, 4, 6, 6)), truth)["offset"] == 0.5


def test_aligned_corners_are_those_of_the_output() -> None:
    ids = np.zeros((8, 16), int)
    ids[2:6, 6:10] = 1  # the middle at pixel 7.5, in cells of aligned corners 2.5: columns 2 and 3 are inside, at pixels 6 and 9
    offset = torch.zeros(1, 2, 8, 6)
    offset[0, 0] = 3.5 - torch.arange(8.0)[:, None]
    offset[0, 1] = 2.5 - torch.arange(6.0)
    assert Offset()(said(offset=offset, align_corners=True), targets(ids))["offset"] == 0
    assert Offset()(said(offset=offset), targets(ids))["offset"] > 0


@pytest.mark.parametrize("loss", [Centre, Offset])
def test_what_they_cannot_use(loss: Any) -> None:
    truth = targets(np.ones((4, 4), int))
    name = loss.__name__.lower()
    for output in (Dense(torch.zeros(1, 2, 4, 4)), Queries(torch.zeros(1, 3, 2), torch.zeros(1, 3, 4), torch.zeros(1, 4, 2, 2))):
        with pytest.raises(InvalidNoun, match=f"{name} loss: expected a Dense output with an? {name}"):
            loss()(output, truth)
    with pytest.raises(OptionError, match=f"{name} things: expected a list of class indices"):
        loss(things=[-1])
    with pytest.raises(InvalidNoun, match="classes of a loss"):
        loss(things=[3])(said(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 4, 4)), truth)
