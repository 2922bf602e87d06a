"""Several groups of classes: nested regions from labels to logits, losses, decoded layers and a training."""

from __future__ import annotations

import re
from importlib import import_module

import monai.losses as monai
import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import intarsia
from intarsia.core import ClassSet, Dense, Sample, Segments, Targets
from intarsia.core.errors import InvalidNoun
from intarsia.data.dataset import Dataset
from intarsia.decode.semantic import semantic
from intarsia.losses.cross_entropy import cross_entropy_loss
from intarsia.losses.weighted_sum import WeightedSum

BRAIN = ClassSet(("whole", "core", "edema", "air"), groups=(("whole",), ("core", "edema"), ("air",)))
GROUPS = BRAIN.group_indices


def nested() -> Targets:
    """Two layers: whole under core and edema; void in one corner; air nowhere."""
    ids = torch.tensor([[[[1, 1, 1, 0], [1, 1, 0, -1]], [[0, 2, 3, 0], [2, 0, 0, 0]]]])  # (B, L, H, W)
    return Targets(ids, torch.tensor([[0, 1, 2]]), torch.zeros(1, 3).bool(), 4)


def test_labels_of_groups_by_hand() -> None:
    whole, inner, air = nested().grouped(GROUPS)[0].tolist()
    assert whole == [[0, 0, 0, 1], [0, 0, 1, -1]]  # 1 is none of the group
    assert inner == [[2, 0, 1, 2], [0, 2, 2, -1]]
    assert air == [[1, 1, 1, 1], [1, 1, 1, -1]]


def test_where_rows_of_a_group_overlap_the_later_wins() -> None:
    ids = torch.tensor([[[[2, 1]], [[1, 3]]]])
    targets = Targets(ids, torch.tensor([[1, 2, 0]]), torch.zeros(1, 3).bool(), 4)
    assert targets.grouped(GROUPS)[0].tolist() == [[[1, 0]], [[1, 0]], [[1, 1]]]


def test_one_group_of_all_is_the_semantic_view() -> None:
    targets = nested()
    torch.testing.assert_close(targets.grouped([range(4)])[:, 0], targets.semantic())


def test_each_group_is_asked_for_itself() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 2, 4, dtype=torch.float64)
    none = torch.zeros(1, 1, 2, 4, dtype=torch.float64)
    labels = nested().grouped(GROUPS)
    terms = WeightedSum({"cross_entropy": 1.0}, (1, 2, 3, 4), groups=GROUPS)(Dense(logits), nested())
    parts = [torch.cat([logits[:, list(group)], none], dim=1) for group in GROUPS]
    weights = [(1, 1), (2, 3, 1), (4, 1)]  # none of the group weighs 1
    entropies = [cross_entropy_loss(part, labels[:, place], weights[place]) for place, part in enumerate(parts)]
    torch.testing.assert_close(terms["cross_entropy"], sum(entropies) / 3)


def regions(void: bool = False) -> tuple[torch.Tensor, torch.Tensor, Targets]:
    """Logits of three classes, each a group of its own, masks (B, 3, H, W), and the same as targets of three layers."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 9, 11, generator=generator, dtype=torch.float64).requires_grad_()
    masks = torch.rand(2, 3, 9, 11, generator=generator) < torch.tensor([0.5, 0.1, 0.02]).view(-1, 1, 1)
    ids = masks * torch.tensor([1, 2, 3]).view(-1, 1, 1)  # (B, L, H, W)
    ids[:, 0][:, :2] = -1 if void else ids[:, 0][:, :2]
    return logits, masks, Targets(ids, torch.arange(3).repeat(2, 1), torch.zeros(2, 3).bool(), 3)


def same(ours: torch.Tensor, theirs: torch.Tensor, logits: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (ours, theirs)))


ALONE = ((0,), (1,), (2,))
PEERS = {
    "dice": (monai.DiceLoss, {}),
    "tversky": (monai.TverskyLoss, {"alpha": 0.3, "beta": 0.7}),
}


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("name", PEERS)
def test_regions_of_their_own_are_monais_sigmoids(name: str, per_image: bool) -> None:
    """The easy background of a small region has no part in it."""
    logits, masks, targets = regions()
    peer, more = PEERS[name]
    theirs = peer(sigmoid=True, batch=not per_image, smooth_nr=1.0, smooth_dr=1.0, **more)(logits, masks.double())
    options = {"per_image": per_image, "present_only": False}
    same(WeightedSum({name: 1.0}, options={name: options}, groups=ALONE)(Dense(logits), targets)[name], theirs, logits)


@pytest.mark.parametrize("name", ["dice", "generalised_dice", "tversky", "lovasz_softmax", "boundary", "hausdorff"])
@pytest.mark.parametrize("void", [False, True])
def test_region_losses_leave_none_of_these_out(name: str, void: bool) -> None:
    """By hand: of a group of one class the loss is that of its channel alone, and a group without pixels has none."""
    logits, _, targets = regions(void)
    function = getattr(import_module(f"intarsia.losses.{name}"), f"{name}_loss")
    labels = targets.grouped(ALONE)  # (B, G, H, W), 1 none of the group
    parts = [torch.stack([logits[:, place], torch.zeros_like(logits[:, 0])], dim=1) for place in range(3)]
    wanted = sum(function(part, labels[:, place], classes=[0]) for place, part in enumerate(parts)) / 3
    same(WeightedSum({name: 1.0}, groups=ALONE)(Dense(logits), targets)[name], wanted, logits)
    if name != "hausdorff":  # of two channels, which are as wrong as each other
        assert wanted != sum(function(part, labels[:, place]) for place, part in enumerate(parts)) / 3
    nothing = torch.ones_like(labels[:, 0])
    assert function(parts[0], nothing, classes=[0]) == 0
    if name != "boundary":  # no outline, no distances
        assert function(parts[0], nothing, classes=[0], present_only=False) > 0


def test_dice_of_classes_that_exclude_each_other_is_monais_without_none() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 9, 11, generator=generator, dtype=torch.float64).requires_grad_()
    inner = torch.randint(0, 3, (2, 9, 11), generator=generator)  # core, edema, neither
    whole = torch.randint(0, 2, (2, 9, 11), generator=generator)  # whole, not
    air = torch.randint(0, 2, (2, 9, 11), generator=generator)
    ids = torch.stack([1 - whole, (inner + 2) * (inner < 2), 4 * (1 - air)], dim=1)  # (B, L, H, W)
    targets = Targets(ids, torch.arange(4).repeat(2, 1), torch.zeros(2, 4).bool(), 4)
    theirs = 0
    for group, labels in zip(GROUPS, (whole, inner, air), strict=True):
        part = torch.cat([logits[:, list(group)], torch.zeros_like(logits[:, :1])], dim=1)
        peer = monai.DiceLoss(to_onehot_y=True, softmax=True, batch=True, smooth_nr=1.0, smooth_dr=1.0, reduction="none")
        theirs = theirs + peer(part, labels[:, None]).flatten()[: len(group)].mean() / 3
    same(WeightedSum({"dice": 1.0}, groups=GROUPS)(Dense(logits), targets)["dice"], theirs, logits)


def test_a_group_of_one_class_is_a_sigmoid() -> None:
    logits = torch.randn(1, 4, 2, 4)
    part = torch.cat([logits[:, :1], torch.zeros(1, 1, 2, 4)], dim=1)
    labels = nested().grouped(GROUPS)[:, 0]
    known = labels >= 0
    expected = binary_cross_entropy_with_logits(logits[:, 0][known], (labels == 0)[known].float())
    torch.testing.assert_close(cross_entropy_loss(part, labels), expected)


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (5, {}, "logits: expected 4 channels, one for each class of the groups, received 5"),
        (4, {"class_weights": (1, 2)}, "class_weights: expected 4 numbers, one for each class, received 2"),
    ],
)
def test_what_does_not_fit_the_groups(channels: int, options: dict[str, tuple[int, ...]], text: str) -> None:
    with pytest.raises(InvalidNoun, match=re.escape(text)):
        WeightedSum(groups=GROUPS, **options)(Dense(torch.zeros(1, channels, 2, 4)), nested())


@pytest.mark.parametrize("name", ["cldice", "boundary"])
def test_thin_classes_and_distances_know_their_group(name: str) -> None:
    """`classes` are those of the class set; the channel of "none of these" is no line, and each group has maps of its own."""
    ids = torch.zeros(1, 2, 7, 9).long()
    ids[:, 0, 1:6], ids[:, 1, 2:5] = 1, 2
    targets = Targets(ids, torch.tensor([[0, 1]]), torch.zeros(1, 2).bool(), 4)
    logits = torch.zeros(1, 4, 7, 9, requires_grad=True)
    options = {"cldice": {"classes": [1]}} if name == "cldice" else {}
    WeightedSum({name: 1.0}, options=options, groups=GROUPS)(Dense(logits), targets)[name].backward()
    assert logits.grad[0, 1, 3].sum() < 0
    assert logits.grad[0, 0].eq(0).all() == (name == "cldice")


# -- decoding ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [False, True])
def test_decoded_rows_overlap(confidence: bool) -> None:
    chances = {0: [0.9, 0.8, 0.2], 3: [0.1, 0.1, 0.1]}  # sigmoids
    logits = np.zeros((1, 4, 1, 3), np.float32)
    for channel, chance in chances.items():
        logits[0, channel, 0] = np.log(chance) - np.log1p(-np.array(chance))
    logits[0, 1, 0], logits[0, 2, 0] = np.log([6, 1, 0.5]), np.log([1, 2, 0.5])  # beside 1 for none: 6/8, 2/4, 1/2
    [answer] = semantic(Dense(logits), [(1, 3)], BRAIN, confidence=confidence)
    assert answer.classes.tolist() == [0, 1, 2]  # air has no pixel
    assert answer.masks.tolist() == [[[True, True, False]], [[True, False, False]], [[False, True, False]]]
    assert not answer.void.any()
    if confidence:
        np.testing.assert_allclose(answer.confidence, [[0.9 * 6 / 8 * 0.9, 0.8 * 2 / 4 * 0.9, 0.8 * 1 / 2 * 0.9]], atol=2e-3)
        np.testing.assert_allclose(answer.scores, [0.85, 6 / 8, 2 / 4], atol=2e-3)


def test_decoding_undoes_labelling() -> None:
    """Logits that say the labels come back as the rows, at twice the size too."""
    rows = Segments(nested().ids[0].numpy(), [0, 1, 2])
    logits = np.full((1, 4, 2, 4), -10, np.float32)
    logits[0, :3][rows.masks] = 10
    for scale in (1, 2):
        [answer] = semantic(Dense(logits), [(2 * scale, 4 * scale)], BRAIN)
        np.testing.assert_array_equal(answer.masks[:, ::scale, ::scale], rows.masks)


def test_one_more_channel_cannot_be_decoded_in_groups() -> None:
    with pytest.raises(InvalidNoun, match=re.escape("logits: expected (B, 4, *s), received (1, 5, 1, 3)")):
        semantic(Dense(np.zeros((1, 5, 1, 3))), [(1, 3)], BRAIN)


def test_the_class_set_counts_channels() -> None:
    assert BRAIN.channels == 4
    assert ClassSet(BRAIN.names, groups=BRAIN.groups, nothing=True).channels == 4
    assert ClassSet(BRAIN.names, nothing=True).channels == 5


# -- a training --------------------------------------------------------------------------------------------------------------


def cells(count: int = 16) -> Dataset:
    """Bright discs, a brighter core inside each: nested classes, each a group of its own."""
    classes = ClassSet(("cell", "core"), groups=(("cell",), ("core",)))
    rng, samples = np.random.default_rng(0), []
    for number in range(count):
        y, x = np.mgrid[:32, :32] - rng.integers(10, 22, (2, 1, 1))
        outer, inner = y**2 + x**2 < 80, y**2 + x**2 < 16
        image = np.uint8(40 + 80 * outer + 80 * inner + rng.integers(0, 30, (32, 32)))[..., None].repeat(3, axis=-1)
        samples.append(Sample(image, Segments(np.stack([outer, 2 * inner]), [0, 1]), key=str(number)))
    return Dataset.from_samples(samples, classes, splits={str(n): "val" if n % 4 == 0 else "train" for n in range(count)})


def test_nested_regions_are_learnt(tmp_path) -> None:
    data = cells()
    run = intarsia.train(
        data, out=str(tmp_path / "run"), epochs=12, batch_size=4, lr=2e-2, model_args={"widths": (8, 16)}, device="cpu", quiet=True
    )
    model = intarsia.load(run.folder)
    for sample in data.split("val"):
        answer = model(sample.image)
        assert answer.classes.tolist() == [0, 1]
        for mask, truth in zip(answer.masks, sample.segments.masks, strict=True):
            assert (mask & truth).sum() / (mask | truth).sum() > 0.7
        assert (answer.masks[0] & answer.masks[1]).sum() > 0.9 * answer.masks[1].sum()  # the core lies in the cell
