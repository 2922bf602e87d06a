"""Semantic scores: a golden table worked by hand, an implementation without arrays, tiling, intervals, print."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, jaccard_score, recall_score
from torchmetrics.functional.segmentation import dice_score, mean_iou

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.metrics._semantic_scores import RATIOS, SCALARS
from intarsia.metrics.semantic import Semantic
from intarsia.ops import bootstrap
from intarsia.ops.bootstrap import bootstrap_intervals
from intarsia.ops.packing import pack

THREE = ClassSet(("sky", "road", "banana"), nothing=True)


def scores_of(truth, prediction, classes=THREE, **options):
    metric = Semantic(classes)
    metric.update(truth, prediction)
    return metric.compute(**options)


def test_golden_table():
    """Truth      sky sky sky road road nothing nothing void;  by hand, pixel by pixel:
    prediction sky sky road road void nothing sky sky.
    sky:  TP 2, FN 1, FP 1 (the nothing pixel; not the void one);  road: TP 1, FN 1 (void), FP 1;  banana: in neither.
    """
    truth = Segments.from_semantic(np.array([[0, 0, 0, 1, 1, 3, 3, -1]]), 3)
    prediction = Segments.from_semantic(np.array([[0, 0, 1, 1, -1, 3, 0, 0]]), 3)
    scores = scores_of(truth, prediction)
    np.testing.assert_allclose(scores.iou, [2 / 4, 1 / 3, np.nan])
    np.testing.assert_allclose(scores.dice, [4 / 6, 2 / 4, np.nan])
    np.testing.assert_allclose(scores.precision, [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(scores.recall, [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(scores.share, [3 / 7, 2 / 7, 0])
    assert scores.pixel_accuracy == pytest.approx(4 / 7)
    assert scores.mean_pixel_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores.mean_iou == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert scores.mean_dice == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores.frequency_weighted_iou == pytest.approx((3 * 1 / 2 + 2 * 1 / 3) / 5)
    assert scores.absent == ("banana",)
    assert scores.confusion.tolist() == [[2, 1, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]]
    assert scores.images == 1
    assert scores.intervals == {}


def test_all_void_in_many_images_has_no_interval():
    metric = Semantic(THREE)
    for _ in range(2):
        metric.update(Segments([[[-1]]], []), Segments([[[1]]], [0]))
    assert metric.compute().to_dict()["intervals"]["mean_iou"] == [None, None]


def test_a_class_predicted_where_it_never_is_scores_zero():
    scores = scores_of(Segments([[[1, 1]]], [0]), Segments([[[1, 2]]], [0, 1]))
    assert scores.iou[:2].tolist() == [0.5, 0.0]
    assert scores.mean_iou == 0.25
    assert scores.mean_pixel_accuracy == 0.5  # road has no recall: it is not in the truth
    assert np.isnan(scores.recall[1])


def test_all_void_defines_nothing():
    scores = scores_of(Segments([[[-1, -1]]], []), Segments([[[1, 1]]], [0]))
    assert np.isnan([scores.pixel_accuracy, scores.mean_iou, scores.frequency_weighted_iou]).all()
    assert scores.to_dict()["mean_iou"] is None
    assert scores.absent == THREE.names


def by_hand(pairs, count):
    """IoU per class, pixel accuracy, from lists alone."""
    ious, right, total = [], 0, 0
    pixels = [
        (t, p) for truth, guess in pairs for t, p in zip(truth.ravel().tolist(), guess.ravel().tolist(), strict=True) if t >= 0
    ]
    for k in range(count):
        inter = sum(t == k and p == k for t, p in pixels)
        union = sum(t == k or p == k for t, p in pixels)
        ious.append(inter / union if union else None)
    right, total = sum(t == p for t, p in pixels), len(pixels)
    return ious, right / total if total else None


LABELS = hnp.arrays(np.int64, (3, 4), elements=st.integers(-1, 3))


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=3))
def test_parity_with_an_implementation_without_arrays(pairs):
    metric = Semantic(THREE)
    for truth, guess in pairs:
        metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
    plain = metric.compute(intervals=0).to_dict()
    ious, accuracy = by_hand(pairs, 3)
    assert list(plain["iou"].values()) == pytest.approx(ious)
    assert plain["pixel_accuracy"] == pytest.approx(accuracy)
    known = [iou for iou in ious if iou is not None]
    assert plain["mean_iou"] == (pytest.approx(sum(known) / len(known)) if known else None)


@given(hnp.arrays(np.bool_, (4, 3, 5)), hnp.arrays(np.bool_, (3, 3, 5)), hnp.arrays(np.int64, 4, elements=st.integers(0, 2)))
def test_overlapping_rows_count_as_their_semantic_view(masks, others, classes):
    truth, prediction = pack(masks, classes), pack(others, classes[:3], scores=[0.5, 0.9, 0.7])
    flat = [Segments.from_semantic(s.semantic(3), 3) for s in (truth, prediction)]
    np.testing.assert_array_equal(scores_of(truth, prediction).confusion, scores_of(*flat).confusion)


def test_thousands_of_rows_fold_to_classes():
    ids = np.arange(1, 2501).reshape(1, 50, 50)
    many = Segments(ids, np.arange(2500) % 3)
    few = Segments.from_semantic(many.semantic(3), 3)
    assert scores_of(many, many).confusion.tolist() == scores_of(few, few).confusion.tolist()
    assert scores_of(few, many).mean_iou == 1


def test_tiles_of_an_image_are_the_image():
    rng = np.random.default_rng(0)
    maps = rng.integers(-1, 4, (2, 3, 20, 20))  # truth and prediction of three images
    whole, tiled = Semantic(THREE), Semantic(THREE)
    for number in range(3):
        truth, guess = (Segments.from_semantic(labels, 3) for labels in maps[:, number])
        whole.update(truth, guess, key=str(number))
        for window in np.ndindex(4, 2):
            part = np.s_[:, 5 * window[0] : 5 * window[0] + 5, 10 * window[1] : 10 * window[1] + 10]
            tiled.update(truth.with_ids(truth.ids[part]), guess.with_ids(guess.ids[part]), key=str(number))
    assert len(tiled.counts) == 24
    assert tiled.compute().to_dict() == whole.compute().to_dict()


def test_without_keys_each_update_is_an_image():
    metric = Semantic(THREE)
    for _ in range(3):
        metric.update(Segments([[[1]]], [0]), Segments([[[1]]], [0]))
    assert metric.compute().images == 3


def test_the_state_travels_as_arrays():
    metric = Semantic(THREE)
    for number in range(4):
        metric.update(Segments([[[1, 2]]], [0, 1]), Segments([[[1, 1]]], [0]), key=str(number))
    again = Semantic(THREE, keys=metric.keys, counts=metric.counts)
    assert again.compute().to_dict() == metric.compute().to_dict()
    with pytest.raises(InvalidNoun, match=r"Semantic counts: expected 1 of shape \(4, 5\), received 4 of \(4, 5\)"):
        Semantic(THREE, keys=["a"], counts=metric.counts)


def test_a_class_beyond_the_set():
    with pytest.raises(InvalidNoun, match=r"prediction classes: expected indices 0\.\.2, received 7"):
        Semantic(THREE).update(Segments([[[1]]], [0]), Segments([[[1]]], [7]))


# -- intervals -----------------------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_a_loop_over_drawn_images():
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 50, (9, 4, 5))
    counts[0, 1], counts[1:, 1], counts[1:, :, 1] = 7, 0, 0  # road in one image only: a draw may lack it
    counts[:, 2], counts[:, :, 2] = 0, 0  # no banana
    metric = Semantic(THREE, keys=map(str, range(9)), counts=counts)
    scores = metric.compute(intervals=200, seed=5)
    weights = np.random.default_rng(5).multinomial(9, np.full(9, 1 / 9), size=200)
    ordered = sorted(counts, key=lambda count: count.tobytes())
    drawn = []
    for weight in weights:
        one = Semantic(THREE, keys=["x"], counts=sum(w * c for w, c in zip(weight, ordered, strict=True))[None]).compute(0)
        drawn.append([one.pixel_accuracy, one.mean_iou, one.mean_dice, *(x for name in RATIOS for x in getattr(one, name)[:2])])
    assert np.isnan([row[4] for row in drawn]).any()
    ends = np.nanquantile(np.array(drawn), [0.025, 0.975], axis=0)
    np.testing.assert_allclose(scores.intervals["pixel_accuracy"], ends[:, 0])
    np.testing.assert_allclose(scores.intervals["mean_iou"], ends[:, 1])
    np.testing.assert_allclose(scores.intervals["mean_dice"], ends[:, 2])
    plain = scores.to_dict()["intervals"]
    for number, name in enumerate(RATIOS):
        expected = ends[:, 3 + 2 * number : 5 + 2 * number].T
        np.testing.assert_allclose(scores.intervals[name][:2], expected)
        np.testing.assert_allclose([plain[name]["sky"], plain[name]["road"]], expected)
        assert np.isnan(scores.intervals[name][2]).all()
        assert plain[name]["banana"] == [None, None]
    assert list(plain) == [*SCALARS, *RATIOS]
    assert metric.compute(intervals=200, seed=5).to_dict() == scores.to_dict()
    assert metric.compute(intervals=200, seed=6).to_dict() != scores.to_dict()


def test_the_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(10, 2, (400, 1))
    low, high = bootstrap_intervals(400, lambda weights: {"mean": weights @ values[:, 0] / 400}, rounds=4000)["mean"]
    middle, half = values.mean(), 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.02)


def test_few_draws_at_a_time_are_the_same_draws(monkeypatch):
    asked = []

    def means(weights):
        asked.append(len(weights))
        return {"mean": weights @ np.arange(50.0) / 50, "two": weights[:, :2]}

    whole = bootstrap_intervals(50, means, rounds=95)
    monkeypatch.setattr(bootstrap, "CELLS", 50 * 20)
    cut = bootstrap_intervals(50, means, rounds=95)
    assert asked == [95, 20, 20, 20, 20, 15]
    assert (whole["mean"] == cut["mean"]).all()
    assert (whole["two"] == cut["two"]).all()
    assert whole["two"].shape == (2, 2)


def test_one_image_has_no_interval():
    assert np.isnan(bootstrap_intervals(1, lambda weights: {"share": weights[:, 0]})["share"]).all()
    with pytest.raises(OptionError, match=r"bootstrap: expected rounds above 0 and a level within 0\.\.1, received 0 rounds"):
        bootstrap_intervals(3, lambda weights: {"share": weights[:, 0]}, rounds=0)


# -- print ---------------------------------------------------------------------------------------------------------------------


def test_the_table():
    metric = Semantic(THREE)
    for number in range(2):
        metric.update(Segments([[[1, 1, 2]]], [0, 1]), Segments([[[1, 2, 2]]], [0, 1]), key=str(number))
    assert str(metric.compute()) == (
        "2 images, 3 classes; values are 0..1, void is not scored; in brackets the 95 % interval over images\n"
        "pixel_accuracy          0.6667 [0.6667, 0.6667]\n"
        "mean_pixel_accuracy     0.7500 [0.7500, 0.7500]\n"
        "mean_iou                0.5000 [0.5000, 0.5000]\n"
        "frequency_weighted_iou  0.5000 [0.5000, 0.5000]\n"
        "mean_dice               0.6667 [0.6667, 0.6667]\n"
        "micro_iou               0.5000 [0.5000, 0.5000]\n"
        "micro_dice              0.6667 [0.6667, 0.6667]\n"
        "image_mean_iou          0.5000 [0.5000, 0.5000]\n"
        "image_mean_dice         0.6667 [0.6667, 0.6667]\n"
        "\n"
        "class   share   iou                      dice    prec.   recall\n"
        "sky     0.6667  0.5000 [0.5000, 0.5000]  0.6667  1.0000  0.5000\n"
        "road    0.3333  0.5000 [0.5000, 0.5000]  0.6667  0.5000  1.0000\n"
        "banana  0.0000    -    [  -   ,   -   ]    -       -       -\n"
        "\n"
        "absent from truth and prediction: banana"
    )
    assert "mean_iou                0.5000\n" in str(metric.compute(intervals=0))


@pytest.mark.data
def test_camvid_labels_against_plain_counts(data_dir):
    classes = ClassSet(tuple((data_dir / "camvid/codes.txt").read_text().split()[:11]))
    metric, plain = Semantic(classes), np.zeros((12, 12), np.int64)
    files = sorted((data_dir / "camvid/testannot").iterdir())[::40]
    for file, other in pairwise(files):
        truth, guess = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(int) for path in (file, other))
        plain += np.bincount((truth * 12 + guess).ravel(), minlength=144).reshape(12, 12)
        metric.update(*(Segments.from_semantic(np.where(labels == 11, -1, labels), 11) for labels in (truth, guess)), key=file.stem)
    confusion = metric.compute().confusion
    np.testing.assert_array_equal(confusion[:11, :11], plain[:11, :11])
    np.testing.assert_array_equal(confusion[:11, 12], plain[:11, 11])


# -- micro, macro, per image ---------------------------------------------------------------------------------------------------


def images_of(seed, count=4):
    """Truth and prediction of some images, with void, nothing and a class that not every image holds."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(-1, 3, (count, 2, 12, 15))
    maps[:, 1] = np.where(rng.random(maps[:, 1].shape) < 0.5, maps[:, 0], maps[:, 1])
    maps[0][maps[0] == 2] = 0
    return maps


def test_micro_macro_and_image_means_are_those_of_scikit_learn():
    maps, metric = images_of(0), Semantic(ClassSet(("sky", "road", "car")))
    for truth, guess in maps:
        guess[guess < 0] = 0
        metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
    scores = metric.compute(intervals=0)
    known = maps[:, 0] >= 0
    pooled = maps[:, 0][known], maps[:, 1][known]
    alone = [(truth[truth >= 0], guess[truth >= 0]) for truth, guess in maps]
    assert scores.mean_iou == pytest.approx(jaccard_score(*pooled, average="macro"))
    assert scores.mean_dice == pytest.approx(f1_score(*pooled, average="macro"))
    assert scores.mean_pixel_accuracy == pytest.approx(recall_score(*pooled, average="macro"))
    assert scores.frequency_weighted_iou == pytest.approx(jaccard_score(*pooled, average="weighted"))
    assert scores.micro_iou == pytest.approx(jaccard_score(*pooled, average="micro"))
    assert scores.micro_dice == pytest.approx(f1_score(*pooled, average="micro"))
    assert scores.image_mean_iou == pytest.approx(np.mean([jaccard_score(*pair, average="macro") for pair in alone]))
    assert scores.image_mean_dice == pytest.approx(np.mean([f1_score(*pair, average="macro") for pair in alone]))
    assert len({scores.mean_iou, scores.micro_iou, scores.image_mean_iou}) == 3


def test_parity_with_torchmetrics():
    maps = np.maximum(images_of(1), 0)
    metric = Semantic(ClassSet(("sky", "road", "car")))
    for truth, guess in maps:
        metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
    scores, (truth, guess) = metric.compute(intervals=0), torch.from_numpy(maps).unbind(1)
    theirs = mean_iou(guess[1:], truth[1:], num_classes=3, input_format="index").mean(dim=0)  # of images that hold all classes
    own = [Semantic(metric.classes, keys=["a"], counts=count[None]).compute(0).image_mean_iou for count in metric.counts[1:]]
    assert np.mean(own) == pytest.approx(float(theirs), abs=1e-6)
    dice = dice_score(guess, truth, num_classes=3, input_format="index", average="micro")
    alone = [Semantic(metric.classes, keys=["a"], counts=count[None]).compute(0).micro_dice for count in metric.counts]
    assert alone == pytest.approx(dice.tolist(), abs=1e-6)
    assert scores.images == 4


def test_image_means_by_hand():
    """One image all right, one all wrong in a class: 1 and (0 + 0) / 2, so 0.5; pooled 2/4 and 0/2."""
    metric = Semantic(ClassSet(("sky", "road")))
    for truth, guess in (([[0, 0]], [[0, 0]]), ([[0, 0]], [[1, 1]])):
        metric.update(Segments.from_semantic(np.array(truth), 2), Segments.from_semantic(np.array(guess), 2))
    scores = metric.compute(intervals=0)
    assert scores.image_mean_iou == 0.5
    assert scores.mean_iou == pytest.approx((2 / 4 + 0) / 2)
    assert scores.micro_iou == pytest.approx(2 / 6)


# -- groups --------------------------------------------------------------------------------------------------------------------

NESTED = ClassSet(("whole", "core", "left", "right"), groups=(("whole",), ("core",), ("left", "right")), nothing=True)


@given(hnp.arrays(np.bool_, (2, 3, 4, 5)), hnp.arrays(np.int64, (2, 4, 5), elements=st.integers(-1, 2)))
def test_with_groups_each_class_is_its_own_mask(masks, sides):
    """Two rows of the core, in whatever layers, are one core; the classes of one group are scored as ever."""
    void = sides[0] < 0
    both = []
    for layers, side in zip(masks, sides, strict=True):
        rows = np.concatenate([layers, np.stack([side == 0, side == 1])])
        packed = pack(rows & ~void, [0, 1, 1, 2, 3])
        packed.ids[0][void] = -1
        both.append(packed)
    scores = scores_of(*both, NESTED, intervals=0)
    truth, guess = (np.stack([m[0], m[1] | m[2], s == 0, s == 1])[:, ~void] for m, s in zip(masks, sides, strict=True))
    for k in range(4):
        inter, union = (truth[k] & guess[k]).sum(), (truth[k] | guess[k]).sum()
        assert scores.iou[k] == pytest.approx(inter / union if union else np.nan, nan_ok=True)
        both_sizes = truth[k].sum() + guess[k].sum()
        assert scores.dice[k] == pytest.approx(2 * inter / both_sizes if both_sizes else np.nan, nan_ok=True)
        assert scores.share[k] == pytest.approx(truth[k].mean() if truth[k].size else np.nan, nan_ok=True)
