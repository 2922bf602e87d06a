"""The loss of a set of masks: parity with transformers' Mask2Former, and what void, crowds and missing objects do to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import interpolate
from transformers import Mask2FormerConfig
from transformers.models.mask2former import modeling_mask2former as theirs

from intarsia.core import Dense, Queries, Targets
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.losses._matching import assigned, class_costs, mask_costs
from intarsia.losses._point_sampling import drawn, uncertain, values_at
from intarsia.losses.mask_set import MaskSet

CLASSES, QUERIES = 4, 9
PARTS = ("mask_set_class", "mask_set_mask", "mask_set_dice")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def truth(size: tuple[int, int] = (24, 32), rows: int = 5, batch: int = 2, **fields: Any) -> Targets:
    """Patches of 4x4 pixels, each of a random row or of none."""
    coarse = torch.randint(0, rows + 1, (batch, 1, size[0] // 4, size[1] // 4))
    ids = coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)  # (B, L, H, W)
    plain = {"ids": ids, "classes": torch.randint(0, CLASSES, (batch, rows)), "crowd": torch.zeros(batch, rows).bool()}
    return Targets(**plain | fields, num_classes=CLASSES)


def said(size: tuple[int, int] = (24, 32), batch: int = 2, queries: int = QUERIES, dtype: torch.dtype = torch.float64) -> Queries:
    """Noise."""
    shapes = (batch, queries, CLASSES + 1), (batch, queries, 6), (batch, 6, *size)
    return Queries(*(torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes))


def oracle(targets: Targets, scale: float = 10.0) -> Queries:
    """A query for each row, its mask the row's own prototype."""
    batch, rows = targets.classes.shape
    masks = torch.stack(
        [torch.cat([targets.masks(b), torch.zeros(rows, *targets.ids.shape[2:]).bool()])[:rows] for b in range(batch)]
    )
    labels = torch.nn.functional.one_hot(targets.classes.where(targets.classes >= 0, CLASSES), CLASSES + 1)
    return Queries(scale * (2.0 * labels - 1), torch.eye(rows).expand(batch, -1, -1), scale * (2.0 * masks - 1))


def total(output: Queries, targets: Targets, **options: Any) -> torch.Tensor:
    terms = MaskSet(**options)(output, targets)
    assert tuple(terms) == PARTS
    return torch.stack(list(terms.values())).sum()


def by_transformers(output: Queries, targets: Targets, **options: Any) -> dict[str, float]:
    """The sum of each part over all levels."""
    config = Mask2FormerConfig(num_labels=CLASSES, **options)
    weights = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    loss = theirs.Mask2FormerLoss(config, weights).to(output.classes.dtype)
    levels = [
        {
            "masks_queries_logits": torch.einsum("bqk,bkhw->bqhw", level.coefficients, level.prototypes),
            "class_queries_logits": level.classes,
        }
        for level in (output, *output.aux)
    ]
    batch = range(len(targets.ids))
    kept = [(targets.masks(b).flatten(1).any(dim=1) & ~targets.crowd[b][: len(targets.masks(b))]) for b in batch]
    masks = [targets.masks(b)[kept[b]].to(output.classes.dtype) for b in batch]
    labels = [targets.classes[b][: len(kept[b])][kept[b]] for b in batch]
    found = loss(**levels[0], mask_labels=masks, class_labels=labels, auxiliary_predictions=levels[1:])
    sums = dict.fromkeys(PARTS, 0.0)
    for (kind, weight), part in zip(weights.items(), PARTS, strict=True):
        sums[part] = weight * sum(float(value.detach()) for name, value in found.items() if name.startswith(kind))
    return sums


def assert_equal_to(output: Queries, targets: Targets, expected: dict[str, float], **options: Any) -> None:
    ours = {name: float(value.detach()) for name, value in MaskSet(**options)(output, targets).items()}
    assert ours == pytest.approx(expected, rel=1e-5)


# -- parity ------------------------------------------------------------------------------------------------------------------


def test_costs_are_transformers() -> None:
    logits, labels = torch.randn(2, QUERIES, 50), torch.randint(0, 2, (2, 5, 50)).bool()
    entropy, dice = mask_costs(logits, labels, torch.ones(2, 50).bool())
    scores, rows = torch.randn(2, QUERIES, CLASSES + 1), torch.randint(0, CLASSES, (2, 5))
    kinds = class_costs(scores, rows)
    for image in range(2):
        pair = logits[image], labels[image].float()
        torch.testing.assert_close(entropy[image], theirs.pair_wise_sigmoid_cross_entropy_loss(*pair), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(dice[image], theirs.pair_wise_dice_loss(*pair), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(kinds[image], -scores[image].softmax(1)[:, rows[image]])


def test_every_pixel_as_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an image with no more pixels than points; theirs are told to take the same."""
    size = 8, 12
    rows, columns = torch.meshgrid(*((torch.arange(n) + 0.5) / n for n in size), indexing="ij")
    every = torch.stack([columns, rows], dim=2).flatten(0, 1)  # (pixels, 2), x first
    monkeypatch.setattr(theirs.torch, "rand", lambda rows, count, two, device=None: every.double().repeat(rows, 3, 1)[:, :count])
    targets = truth(size)
    main, early = said(size), said(size)
    output = Queries(main.classes, main.coefficients, main.prototypes, aux=(early,))
    expected = by_transformers(output, targets, train_num_points=96, importance_sample_ratio=0.0)
    assert_equal_to(output, targets, expected, points=96)


def test_drawn_points_as_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarser prototypes, importance sampling: from the same random pixels the same are chosen. None of them lies within half a
    cell of the border, where transformers mixes with logits of 0 beyond."""
    size, coarse = (48, 64), (12, 16)
    inner = torch.arange(48 * 64).view(size)[2:-2, 2:-2].flatten()

    def pixels(rows: int, count: int) -> torch.Tensor:
        pick = torch.randint(len(inner), (count,), generator=torch.Generator().manual_seed(count))
        return inner[pick].expand(rows, -1)

    def centres(rows: int, count: int, _: int, device: Any = None) -> torch.Tensor:
        y, x = torch.unravel_index(pixels(rows, count), size)
        return torch.stack([(x + 0.5) / size[1], (y + 0.5) / size[0]], dim=2).double()

    targets = truth(size)
    main, early = said(coarse), said(coarse)
    output = Queries(main.classes, main.coefficients, main.prototypes, aux=(early,))
    with monkeypatch.context() as patch:
        patch.setattr(theirs.torch, "rand", centres)
        expected = by_transformers(output, targets, train_num_points=200)
    monkeypatch.setattr("intarsia.losses._point_sampling.torch", _Fixed(pixels))
    assert_equal_to(output, targets, expected, points=200)


class _Fixed:
    """torch, but for its random numbers."""

    def __init__(self, pixels: Any) -> None:
        self.pixels = pixels

    def __getattr__(self, name: str) -> Any:
        if name == "randint":
            return lambda high, shape, device=None: self.pixels(*shape)
        return getattr(torch, name)


# -- by hand -----------------------------------------------------------------------------------------------------------------


def test_two_queries_one_object_by_hand() -> None:
    """The second query has the right class and mask, so it is the one: the first is trained to be no object."""
    targets = Targets(torch.tensor([[[[1, 1, 0, 0]]]]), torch.tensor([[2]]), torch.zeros(1, 1).bool(), 3)
    classes = torch.tensor([[[0.0, 0, 0, 0], [0.0, 0, 2, 0]]])
    output = Queries(classes, torch.eye(2)[None], torch.tensor([[[[0.0, 0, 0, 0]], [[3.0, 3, -3, -3]]]]))
    terms = MaskSet(class_weight=1, mask_weight=1, dice_weight=1)(output, targets)
    right, empty = torch.tensor([0.0, 0, 2, 0]).log_softmax(0)[2], torch.tensor(4.0).log()
    assert terms["mask_set_class"] == pytest.approx(float((-right + 0.1 * empty) / 1.1))
    assert terms["mask_set_mask"] == pytest.approx(float(torch.tensor(-3.0).exp().log1p()))
    sure = torch.tensor(3.0).sigmoid()
    assert terms["mask_set_dice"] == pytest.approx(float(1 - (2 * 2 * sure + 1) / (2 + 2 + 1)))  # 2 sure + 2 (1 - sure) predicted


def test_the_cheapest_pairs_are_chosen() -> None:
    costs = torch.tensor([[[5.0, 1.0], [2.0, 0.0], [9.0, torch.nan]], [[0.0, 0.0], [1.0, 1.0], [2.0, -1.0]]])  # (B, Q, N)
    found = torch.stack(assigned(costs, torch.tensor([[True, True], [False, True]])), dim=1).tolist()
    assert found == [[0, 0, 1], [0, 1, 0], [1, 2, 1]]  # 1 + 2 is less than 5 + 0


# -- what counts -------------------------------------------------------------------------------------------------------------


def test_truth_costs_less() -> None:
    targets = truth()
    right = oracle(targets)
    cost = total(right, targets)
    assert cost < 0.05
    assert total(oracle(targets, 100), targets) <= cost < total(oracle(targets, 1), targets)
    for seed in range(5):
        noise = torch.randn(right.prototypes.shape, generator=torch.Generator().manual_seed(seed))
        assert cost < total(Queries(right.classes, right.coefficients, right.prototypes + 15 * noise), targets)


@pytest.mark.parametrize("points", [12544, 100])
def test_void_has_no_say(points: int) -> None:
    """At the labels' own size, whether all pixels are taken or some drawn."""
    targets = truth()
    targets.ids[..., 20:] = -1
    output = said()
    other = output.prototypes.detach().clone()
    other[..., 20:] = 100 * torch.randn(other[..., 20:].shape).double()
    other.requires_grad_()
    values = []
    for prototypes in (output.prototypes, other):
        torch.manual_seed(1)
        values.append(total(Queries(output.classes, output.coefficients, prototypes), targets, points=points))
    values[1].backward()
    assert torch.equal(*values)
    assert other.grad[..., 20:].eq(0).all()
    assert other.grad[..., :20].ne(0).any()


def test_void_is_as_if_cut_off() -> None:
    """Where every pixel is taken: the same queries are matched, for the same cost."""
    targets, output = truth(), said()
    targets.ids[..., 20:] = -1
    cut = Targets(targets.ids[..., :20], targets.classes, targets.crowd, CLASSES)
    kept = Queries(output.classes, output.coefficients, output.prototypes[..., :20])
    for part, value in MaskSet()(kept, cut).items():
        torch.testing.assert_close(MaskSet()(output, targets)[part], value)


def test_costs_leave_out_what_is_not_known() -> None:
    logits, masks, known = torch.randn(2, 3, 50), torch.rand(2, 4, 50) < 0.5, torch.zeros(2, 50).bool()
    known[:, :30] = True
    expected = mask_costs(logits[..., :30], masks[..., :30], known[:, :30])
    torch.testing.assert_close(mask_costs(logits, masks & known[:, None], known), expected)


def test_uncertain_points_come_first_and_void_last() -> None:
    maps = torch.linspace(-10, 10, 400).view(1, 20, 20)  # least sure in the middle rows
    known = torch.ones(400).bool()
    known[190:210] = False  # the least sure of all
    points = uncertain(maps, 100, (20, 20), lambda at: known[at], oversample=4.0, importance=1.0)
    assert points.shape == (1, 100)
    assert known[points].all()
    assert maps.flatten()[points].abs().max() < 6
    assert uncertain(maps, 400, (20, 20), lambda at: known[at], oversample=4.0, importance=1.0).tolist() == [list(range(400))]


@pytest.mark.parametrize("size", [(30, 41), (7, 9), (5, 30)])
def test_values_at_pixels_are_interpolated(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    points = drawn(2, size[0] * size[1], size, torch.device("cpu"))
    expected = interpolate(maps, size=size, mode="bilinear", align_corners=False).flatten(2)
    torch.testing.assert_close(values_at(maps, points, size), expected)


def test_crowds_and_rows_without_pixels_are_no_objects() -> None:
    targets, output = truth(), said()
    expected = total(output, Targets(targets.ids.where(targets.ids != 2, 0), targets.classes, targets.crowd, CLASSES))
    crowd = targets.crowd.clone()
    crowd[:, 1] = True
    torch.testing.assert_close(total(output, Targets(targets.ids, targets.classes, crowd, CLASSES)), expected)


def test_padding_of_the_rows_changes_nothing() -> None:
    targets, output = truth(), said()
    padded = torch.nn.functional.pad(targets.classes, (0, 3), value=-1)
    more = Targets(targets.ids, padded, torch.zeros(padded.shape).bool(), CLASSES)
    torch.testing.assert_close(total(output, more), total(output, targets))


def test_layers_of_overlapping_rows() -> None:
    """Rows on two layers are as if each had a map of its own."""
    ids = torch.zeros(1, 2, 6, 6).long()
    ids[0, 0, :4], ids[0, 1, 2:] = 1, 2
    targets = Targets(ids, torch.tensor([[0, 3]]), torch.zeros(1, 2).bool(), CLASSES)
    assert targets.masks(0).sum(dim=0).max() == 2
    assert total(oracle(targets), targets) < 0.05


@pytest.mark.parametrize("identity", [-1, 0])
@pytest.mark.parametrize("rows", [0, 2])
def test_no_objects(identity: int, rows: int) -> None:
    """Void teaches nothing; an image of nothing teaches that no query is an object. Each parameter has a gradient nevertheless."""
    output = said(size=(6, 8))
    targets = Targets(torch.full((2, 1, 24, 32), identity), torch.zeros(2, rows).long(), torch.zeros(2, rows).bool(), CLASSES)
    terms = MaskSet()(output, targets)
    torch.stack(list(terms.values())).sum().backward()
    assert terms["mask_set_mask"] == terms["mask_set_dice"] == 0
    assert output.coefficients.grad.eq(0).all()
    assert output.prototypes.grad.eq(0).all()
    if identity < 0:
        assert terms["mask_set_class"] == 0
        assert output.classes.grad.eq(0).all()
    else:
        assert output.classes.grad[..., -1].lt(0).all()


def test_more_objects_than_queries() -> None:
    targets, output = truth(rows=5), said(queries=2)
    value = total(output, targets)
    value.backward()
    assert value.isfinite()
    assert output.coefficients.grad.ne(0).any(dim=2).all()  # all two


def test_no_object_weight() -> None:
    """Of 0 leaves the queries that nothing is matched to alone."""
    targets, output = truth(rows=1), said()
    total(output, targets, no_object_weight=0.0).backward()
    assert output.classes.grad.ne(0).any(dim=2).sum(dim=1).tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    targets, output = truth(), said(dtype=dtype)
    exact = Queries(*(getattr(output, name).double() for name in ("classes", "coefficients", "prototypes")))
    value = total(output, targets)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, total(exact, targets).float())


def test_gradient() -> None:
    targets, output = truth((8, 12), rows=2), said((4, 6), queries=3)
    tensors = output.classes, output.coefficients, output.prototypes
    assert torch.autograd.gradcheck(lambda *said: total(Queries(*said), targets), tensors)


def test_volumes() -> None:
    ids = torch.ones(1, 1, 4, 6, 6).long()
    ids[..., 3:] = 2
    targets = Targets(ids, torch.tensor([[2, 0]]), torch.zeros(1, 2).bool(), CLASSES)
    assert total(oracle(targets), targets) < 0.05
    coarse = Queries(*(torch.randn(shape) for shape in ((1, 3, CLASSES + 1), (1, 3, 2), (1, 2, 2, 3, 3))))
    assert total(coarse, targets, points=50).isfinite()


def test_weight_scales_every_part() -> None:
    targets, output = truth(), said()
    once, thrice = MaskSet()(output, targets), MaskSet(weight=3.0)(output, targets)
    for part in PARTS:
        torch.testing.assert_close(thrice[part], 3 * once[part])


# -- errors ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"points": 0.5}, {"points": 0}, {"oversample": 0.5}, {"importance": 2}, {"mask_weight": -1}])
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"mask_set {next(iter(options))}: expected a "):
        MaskSet(**options)


def test_wrong_outputs() -> None:
    with pytest.raises(InvalidNoun, match="mask_set: expected an output of Queries, received Dense"):
        MaskSet()(Dense(torch.zeros(2, CLASSES, 6, 8)), truth())
    with pytest.raises(InvalidNoun, match=r"classes of mask_set: expected \(B, Q, 8\), no object last, received \(2, 9, 5\)"):
        MaskSet()(said(), replace(truth(), num_classes=7))
