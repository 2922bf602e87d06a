"""YOLACT's loss: which anchor is which object, by hand; the terms against plain loops over anchors and cells; what it ignores."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from intarsia.core import Dense, Queries, Targets
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.losses._anchors import NEUTRAL, NO_OBJECT, Objects, matched
from intarsia.losses.prototype_masks import PrototypeMasks

SIZE, CLASSES, PROTOTYPES = (24, 32), 3, 4
NAMES = ["prototype_classes", "prototype_boxes", "prototype_masks"]


def truth(seed: int = 0) -> Targets:
    """Two images of random rectangles in two layers, with void, a crowd, and rows without pixels."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((2, 2, *SIZE), np.int64)
    for image in ids:
        for row in range(1, 6):
            y, x = rng.integers(0, 16), rng.integers(0, 22)
            image[rng.integers(2), y : y + rng.integers(4, 14), x : x + rng.integers(4, 14)] = row
        image[0, :4, :9] = -1
    ids[1][ids[1] > 4] = 0
    crowd = torch.zeros(2, 6).bool()
    crowd[0, 2] = True
    return Targets(torch.from_numpy(ids), torch.tensor([[0, 1, 2, 2, 1, 0], [2, 2, 2, 0, -1, -1]]), crowd, CLASSES)


def anchors(side: int = 4) -> torch.Tensor:
    """(Q, 4) in shares: squares of a quarter and of a half of the image around each cell of a grid, a bit aside against ties."""
    middles = (torch.stack(torch.meshgrid(*[torch.arange(side)] * 2, indexing="xy"), dim=-1).reshape(-1, 2) + 0.5) / side
    middles += 0.02 * torch.rand(middles.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.cat([middles - half, middles + half], dim=1) for half in (0.125, 0.25)])


def said(seed: int = 0, dtype: torch.dtype = torch.float64, batch: int = 2) -> Queries:
    """Random answers for these anchors."""
    generator, priors = torch.Generator().manual_seed(seed), anchors().to(dtype)
    count = len(priors)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    boxes = priors + 0.02 * random(batch, count, 4)
    grid = tuple(length // 4 for length in SIZE)
    return Queries(
        random(batch, count, CLASSES + 1), random(batch, count, PROTOTYPES), random(batch, PROTOTYPES, *grid), boxes, priors
    )


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    shared = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0))
    return float(shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared))


def by_loops(output: Queries, targets: Targets) -> list[torch.Tensor]:
    """The three terms, unweighted, as the paper says them."""
    priors, size = output.priors.numpy(), np.array([SIZE[1], SIZE[0]] * 2)
    wanted: dict[tuple[int, int], tuple[int, np.ndarray, float]] = {}  # of each image and anchor: the row, its box, the overlap
    absent = []
    for image in range(2):
        ids = targets.ids[image].numpy()
        boxes = {}
        for row in np.flatnonzero((targets.classes[image] >= 0) & ~targets.crowd[image]).tolist():
            _, ys, xs = np.nonzero(ids == row + 1)
            if len(ys):
                boxes[row] = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / size
        for anchor, prior in enumerate(priors):
            here = {row: overlap(box, prior) for row, box in boxes.items()}
            firsts = [row for row, box in boxes.items() if np.argmax([overlap(box, other) for other in priors]) == anchor]
            best = max(firsts or here, key=lambda row: here[row])
            if firsts or here[best] >= 0.5:
                wanted[image, anchor] = best, boxes[best], here[best]
                continue
            x0, y0, x1, y1 = np.clip(np.round(prior * size), 0, size).astype(int)
            crowds = [row + 1 for row in np.flatnonzero(targets.crowd[image]).tolist()]
            unproven = (np.isin(ids, crowds).any(axis=0) | (ids[0] < 0))[y0:y1, x0:x1]
            if here[best] < 0.4 and unproven.mean() <= 0.7:
                absent.append((image, anchor))
    surprise = -output.classes.log_softmax(dim=2)
    hardest = sorted((float(surprise[image, anchor, -1]) for image, anchor in absent), reverse=True)[: 3 * len(wanted)]
    classes = boxes_ = masks = torch.tensor(sum(hardest), dtype=torch.float64)
    boxes_ = masks = torch.zeros((), dtype=torch.float64)
    for (image, anchor), (row, box, _) in wanted.items():
        classes = classes + surprise[image, anchor, targets.classes[image, row]]
        prior, guess = priors[anchor], output.boxes[image, anchor].numpy()
        moves = []
        for these in (guess, box):
            middle, size_ = (these[2:] + these[:2] - prior[2:] - prior[:2]) / 2, prior[2:] - prior[:2]
            moves.append(torch.tensor([*(middle / size_ / 0.1), *(np.log((these[2:] - these[:2]) / size_) / 0.2)]))
        boxes_ = boxes_ + smooth_l1_loss(*moves, reduction="sum")
        plane = torch.einsum("k,khw->hw", output.coefficients[image, anchor], output.prototypes[image])
        costs = []
        for y, x in np.ndindex(*plane.shape):
            share_x, share_y = (x + 0.5) / plane.shape[1], (y + 0.5) / plane.shape[0]
            pixel = targets.ids[image, :, int(share_y * SIZE[0]), int(share_x * SIZE[1])]
            near = 1.001 / np.array([plane.shape[1], plane.shape[0]])
            if pixel[0] >= 0 and (box[:2] - near <= [share_x, share_y]).all() and ([share_x, share_y] <= box[2:] + near).all():
                costs.append(binary_cross_entropy_with_logits(plane[y, x], (pixel == row + 1).any().double()))
        masks = masks + torch.stack(costs).mean()
    return [total / len(wanted) for total in (classes, boxes_, masks)]


@pytest.mark.parametrize("seed", range(4))
def test_the_terms_equal_plain_loops(seed: int) -> None:
    output, targets = said(seed), truth(seed)
    terms = PrototypeMasks(2.0)(output, targets)
    assert list(terms) == NAMES
    expected = torch.stack(by_loops(output, targets)) * torch.tensor([1, 1.5, 6.125]) * 2
    torch.testing.assert_close(torch.stack(list(terms.values())), expected, rtol=1e-4, atol=1e-6)


def targets_of(ids: Any, classes: list[int], crowd: list[int] | None = None) -> Targets:
    """One image of one layer."""
    flags = torch.zeros(1, len(classes)).bool()
    flags[0, crowd or []] = True
    return Targets(torch.as_tensor(ids)[None, None], torch.tensor([classes]).view(1, -1).long(), flags, CLASSES)


def rows_of(targets: Targets, priors: torch.Tensor) -> list[int]:
    objects = Objects.of(targets)
    return matched(priors, objects.boxes[0], objects.real[0], objects.unproven_share(priors)[0], 0.5, 0.4, 0.7)[0].tolist()


def test_which_anchor_is_which_object() -> None:
    ids = torch.zeros(10, 20).long()
    ids[:, :6], ids[4:6, 14:16] = 1, 2
    tall = [0.0, 0.0, 0.3, 1.0]  # the first object's own box
    half, near, poor = [0.0, 0.0, 0.3, 0.5], [0.0, 0.0, 0.3, 0.45], [0.0, 0.0, 0.3, 0.39]
    small, smaller = [0.6, 0.0, 1.0, 1.0], [0.6, 0.2, 0.9, 0.8]  # both overlap the second object by little, the last by more
    rows = rows_of(targets_of(ids, [2, 0]), torch.tensor([tall, half, near, poor, small, smaller]))
    assert rows == [0, 0, NEUTRAL, NO_OBJECT, NO_OBJECT, 1]


def test_void_and_crowds_prove_nothing() -> None:
    ids = torch.zeros(10, 20).long()
    ids[:, :8], ids[:, 12:] = -1, 1
    left, mostly, partly, right = ([low, 0.0, high, 1.0] for low, high in ((0, 0.4), (0, 0.55), (0.1, 0.65), (0.6, 1.0)))
    outside = [-0.4, 0.0, 0.1, 1.0]  # what is within the image is void
    priors = torch.tensor([left, mostly, partly, right, outside])
    assert rows_of(targets_of(ids, [0], crowd=[0]), priors) == [NEUTRAL, NEUTRAL, NO_OBJECT, NEUTRAL, NEUTRAL]
    assert rows_of(targets_of(ids, [0]), priors) == [NEUTRAL, NEUTRAL, NO_OBJECT, 0, NEUTRAL]


def test_two_objects_with_one_best_anchor() -> None:
    ids = torch.zeros(10, 10).long()
    ids[2:6, 2:6], ids[2:6, 6:9] = 1, 2
    assert rows_of(targets_of(ids, [0, 1]), torch.tensor([[0.1, 0.1, 1.0, 0.7], [-0.5, -0.5, -0.1, -0.1]])) == [0, NO_OBJECT]


@pytest.mark.parametrize("identity", [-1, 0])
@pytest.mark.parametrize("rows", [0, 2])
def test_without_objects_there_is_nothing_to_learn(identity: int, rows: int) -> None:
    output, targets = said(batch=1), targets_of(torch.full(SIZE, identity), [0] * rows)
    parts = [part.requires_grad_() for part in (output.classes, output.coefficients, output.prototypes, output.boxes)]
    total = torch.stack(list(PrototypeMasks()(output, targets).values())).sum()
    total.backward()
    assert total == 0
    assert all(part.grad is None or part.grad.eq(0).all() for part in parts)


def test_an_empty_image_teaches_beside_another() -> None:
    targets = truth()
    alone = Targets(targets.ids.clone(), targets.classes, targets.crowd, CLASSES)
    alone.ids[1] = 0
    output = said()
    output.classes.requires_grad_()
    sum(PrototypeMasks()(output, alone).values()).backward()
    assert output.classes.grad[1].any()


@pytest.mark.parametrize("anything", [50.0, torch.inf, torch.nan])
def test_what_is_not_known_is_not_trained(anything: float) -> None:
    """Anchors in void and between the thresholds, and the cells of prototypes whose pixel is void."""
    output, targets = said(dtype=torch.float32), truth()
    objects = Objects.of(targets)
    share = objects.unproven_share(output.priors)
    rows = torch.stack([matched(output.priors, objects.boxes[b], objects.real[b], share[b], 0.5, 0.4, 0.7)[0] for b in range(2)])
    void = (targets.ids[:, 0] < 0)[:, 2::4, 2::4]
    assert (rows == NEUTRAL).any()
    assert void.any()
    other = Queries(
        output.classes.masked_fill((rows == NEUTRAL)[..., None], anything).requires_grad_(),
        output.coefficients.masked_fill((rows < 0)[..., None], anything).requires_grad_(),
        output.prototypes.masked_fill(void[:, None], anything).requires_grad_(),
        output.boxes.masked_fill((rows < 0)[..., None], anything).requires_grad_(),
        output.priors,
    )
    terms, expected = PrototypeMasks()(other, targets), PrototypeMasks()(output, targets)
    torch.testing.assert_close(terms, expected)
    sum(terms.values()).backward()
    assert other.classes.grad[rows == NEUTRAL].eq(0).all()
    assert other.classes.grad[rows >= 0].ne(0).all()
    assert other.prototypes.grad.movedim(1, -1)[void].eq(0).all()
    for part in (other.coefficients, other.boxes):
        assert part.grad[rows < 0].eq(0).all()
        assert part.grad[rows >= 0].ne(0).all()


def test_the_best_masks_are_made_where_there_are_too_many() -> None:
    targets, output = truth(), said()
    output.coefficients.requires_grad_()
    PrototypeMasks(most=1)(output, targets)["prototype_masks"].backward()
    objects = Objects.of(targets)
    for image in range(2):
        _, overlaps = matched(
            output.priors, objects.boxes[image].double(), objects.real[image], torch.zeros(len(anchors())), 0.5, 0.4, 0.7
        )
        assert output.coefficients.grad[image].any(dim=1).nonzero().flatten().tolist() == [overlaps.argmax().item()]


def test_gradient() -> None:
    output, targets = said(), truth()
    parts = [part.requires_grad_() for part in (output.classes, output.coefficients, output.prototypes, output.boxes)]

    def total(*given: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(PrototypeMasks()(Queries(*given, output.priors), targets).values())).sum()

    assert torch.autograd.gradcheck(total, parts, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    output, targets = said(dtype=torch.float32), truth()
    half = Queries(
        *(part.to(dtype) for part in (output.classes, output.coefficients, output.prototypes)), output.boxes, output.priors
    )
    whole = Queries(*(part.float() for part in (half.classes, half.coefficients, half.prototypes)), output.boxes, output.priors)
    terms = PrototypeMasks()(half, targets)
    assert all(term.dtype == torch.float32 for term in terms.values())
    torch.testing.assert_close(terms, PrototypeMasks()(whole, targets))


def test_the_weights() -> None:
    output, targets = said(), truth()
    plain = PrototypeMasks(box_weight=1.0, mask_weight=1.0)(output, targets)
    heavy = PrototypeMasks(3.0, box_weight=0.5, mask_weight=2.0)(output, targets)
    for name, factor in zip(NAMES, (3.0, 1.5, 6.0), strict=True):
        torch.testing.assert_close(heavy[name], factor * plain[name])


def test_harder_examples_cost_more() -> None:
    """Of one object and equal logits each anchor costs log 4, and there are `hard` of no object beside it."""
    ids = torch.zeros(SIZE).long()
    ids[:6, :8] = 1
    output = said(batch=1)
    output = Queries(torch.zeros_like(output.classes), output.coefficients, output.prototypes, output.boxes, output.priors)
    for hard, count in ((0.0, 1), (3.0, 4), (5.0, 6)):
        cost = PrototypeMasks(hard=hard)(output, targets_of(ids, [0]))["prototype_classes"]
        assert float(cost) == pytest.approx(count * log(4))


def test_what_it_cannot_use() -> None:
    output, targets = said(), truth()
    for other in (Dense(torch.zeros(2, 4, *SIZE)), Queries(output.classes, output.coefficients, output.prototypes)):
        with pytest.raises(InvalidNoun, match="prototype_masks: expected Queries with boxes and priors"):
            PrototypeMasks()(other, targets)
    with pytest.raises(InvalidNoun, match=r"classes of prototype_masks: expected \(B, Q, 3\), no object last"):
        PrototypeMasks()(output, Targets(targets.ids, targets.classes, targets.crowd, 2))
    with pytest.raises(OptionError, match="prototype_masks positive: expected a number above 0, up to 1"):
        PrototypeMasks(positive=1.5)


def test_an_object_that_touches_no_anchor_has_none():
    priors, boxes = torch.tensor([[0.0, 0.0, 0.1, 0.1], [0.2, 0.0, 0.3, 0.1]]), torch.tensor([[0.8, 0.8, 0.9, 0.9]])
    rows, _ = matched(priors, boxes, torch.tensor([True]), torch.zeros(2), 0.5, 0.4, 0.7)
    assert rows.tolist() == [-1, -1]
