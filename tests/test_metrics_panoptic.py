"""Panoptic quality and its boundary kin: tables by hand, loops over masks, torchmetrics, void, crowd, layers, real segments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.detection import PanopticQuality

import intarsia
from intarsia.core import ClassSet, Segments
from intarsia.core.errors import IntarsiaError, InvalidNoun, OptionError
from intarsia.metrics.boundary_panoptic import BoundaryPanoptic
from intarsia.metrics.panoptic import Panoptic
from intarsia.ops.packing import pack
from plain_panoptic import plain_counts

FOUR = ClassSet(("sky", "road", "car", "person"), things=("car", "person"))


def counts_of(truth, guess, metric=Panoptic, classes=FOUR, **options):
    """(C, 4) sum of IoUs, pairs, false alarms, misses."""
    result = metric(classes, **options)
    result.update(truth, guess)
    return result.counts[0][:, :4]


def line(*ids, classes, **options):
    return Segments([[list(ids)]], classes, **options)


def blobs(seed, size=(40, 50), rows=9, void=True, full=False, crowd=0.2):
    """A partition of rectangles over one another."""
    rng = np.random.default_rng(seed)
    ids = np.full(size, 1) if full else np.zeros(size, int)
    for row in [*range(1, rows + 1), -1] if void else range(1, rows + 1):
        (top, left), (height, width) = rng.integers(0, (size[0] - 8, size[1] - 8)), rng.integers(8, 25, 2)
        ids[top : top + height, left : left + width] = row
    return Segments(ids[None], rng.integers(0, 4, rows), crowd=rng.random(rows) < crowd)


def shaken(truth, seed):
    """The truth, some rows a few pixels further and some of another class, others left out, void filled."""
    rng = np.random.default_rng(seed)
    ids = np.zeros(truth.size, int)
    for row in rng.permutation(len(truth))[: len(truth) - 1]:
        ids[np.roll(truth.ids[0] == row + 1, rng.integers(-2, 3, 2), axis=(0, 1))] = row + 1
    ids[(truth.ids[0] < 0) | (ids == 0)] = rng.integers(0, len(truth) + 1)
    return Segments(ids[None], np.where(rng.random(len(truth)) < 0.2, 0, truth.classes))


def plain(truth, guess, **options):
    truths = {row + 1: (int(truth.classes[row]), bool(truth.crowd[row])) for row in range(len(truth))}
    answers = {row + 1: (int(guess.classes[row]), False) for row in range(len(guess))}
    return plain_counts(truth.ids[0], truths, guess.ids[0], answers, 4, **options)


# -- by hand -------------------------------------------------------------------------------------------------------------------


def test_golden_table():
    """Two images of ten pixels, ids of the truth over those of the prediction, by hand:

    sky:  3 of 4 and so IoU 3/4 in the first, 4 of 4 in the second.
    car:  first: 2 of 3 is 2/3; and one of two pixels is missed, as 1/2 is no match, while the pixel beside it is a false alarm.
    person: a false alarm in the second.    road: nowhere.
    """
    metric = Panoptic(FOUR)
    metric.update(line(1, 1, 1, 1, 2, 2, 3, 3, 0, 0, classes=[0, 2, 2]), line(1, 1, 1, 2, 2, 2, 3, 0, 0, 0, classes=[0, 2, 2]))
    metric.update(line(1, 1, 1, 1, 0, 0, 0, 0, 0, 0, classes=[0]), line(1, 1, 1, 1, 2, 2, 0, 0, 0, 0, classes=[0, 3]))
    scores = metric.compute(0)
    assert scores["matched"].tolist() == [2, 0, 1, 0]
    assert scores["false_alarms"].tolist() == [0, 0, 1, 1]
    assert scores["missed"].tolist() == [0, 0, 1, 0]
    np.testing.assert_allclose(scores["class_sq"], [7 / 8, np.nan, 2 / 3, 0])
    np.testing.assert_allclose(scores["class_rq"], [1, np.nan, 1 / 2, 0])
    np.testing.assert_allclose(scores["class_pq"], [7 / 8, np.nan, 1 / 3, 0])
    assert scores["pq"] == pytest.approx((7 / 8 + 1 / 3) / 3)
    assert scores["sq"] == pytest.approx((7 / 8 + 2 / 3) / 3)
    assert scores["rq"] == pytest.approx((1 + 1 / 2) / 3)
    assert (scores["pq_things"], scores["pq_stuff"]) == (pytest.approx(1 / 6), pytest.approx(7 / 8))
    assert str(scores).splitlines()[1].split() == ["pq", "0.4028"]
    assert scores.to_dict()["class_pq"]["road"] is None


CASES = {
    "half is no match": ((1, 1, 0, 0), (1, 0, 0, 0), [0, 0, 1, 1]),
    "void is in no union": ((1, 1, -1, -1), (1, 1, 1, 0), [1, 1, 0, 0]),
    "more than half in void is no false alarm": ((0, -1, -1, 0), (1, 1, 1, 0), [0, 0, 0, 0]),
    "half in void is one": ((0, -1, 0, 0), (1, 1, 0, 0), [0, 0, 1, 0]),
    "nothing is no void": ((1, 1, 0, 0), (1, 1, 1, 0), [2 / 3, 1, 0, 0]),
    "what is predicted on nothing is a false alarm": ((0, 0, 0, 0), (1, 1, 0, 0), [0, 0, 1, 0]),
    "void predicted is nothing predicted": ((1, 1, 1, 1), (1, 1, 1, -1), [3 / 4, 1, 0, 0]),
    "most of it void, missed all the same": ((1, 1, 1, 1), (1, -1, -1, -1), [0, 0, 1, 1]),
    "all of it predicted void, missed": ((1, 1, 0, 0), (-1, -1, -1, -1), [0, 0, 0, 1]),
    "all void": ((-1, -1, -1, -1), (1, 1, 1, 1), [0, 0, 0, 0]),
}


@pytest.mark.parametrize("case", CASES)
def test_void_and_nothing(case):
    truth, guess, expected = CASES[case]
    counts = counts_of(line(*truth, classes=[2]), line(*guess, classes=[2]))
    np.testing.assert_allclose(counts[2], expected)
    assert counts[[0, 1, 3]].sum() == 0


@pytest.mark.parametrize(
    ("guess", "of_class", "expected"),
    [
        ((1, 1, 1, 0, 0, 0), 2, [0, 0, 0, 0]),  # in the crowd of its class: neither right nor wrong
        ((1, 1, 1, 0, 0, 0), 3, [0, 0, 1, 0]),  # in that of another: wrong
        ((0, 0, 1, 1, 0, 0), 2, [0, 0, 1, 0]),  # half in crowd, half on nothing
        ((0, 0, 1, 1, 1, 0), 2, [0, 0, 0, 0]),  # crowd and void together
        ((0, 0, 0, 0, 0, 0), 2, [0, 0, 0, 0]),  # a crowd is not missed
    ],
)
def test_crowd(guess, of_class, expected):
    truth = line(1, 1, 1, 0, -1, 0, classes=[2], crowd=[True])
    np.testing.assert_allclose(counts_of(truth, line(*guess, classes=[of_class]))[of_class], expected)


def test_each_of_two_crowds_counts():
    truth = line(1, 1, 2, 2, 0, 0, classes=[2, 2], crowd=[True, True])
    assert counts_of(truth, line(1, 1, 1, 1, 1, 1, classes=[2]))[2].tolist() == [0, 0, 0, 0]


def test_rows_without_pixels_are_none():
    one = line(1, 1, classes=[2, 2, 3])
    assert counts_of(one, one)[2:].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]


def test_a_class_that_is_nowhere_has_no_line_and_one_that_is_missed_has():
    metric = Panoptic(FOUR)
    metric.update(line(1, 1, 2, classes=[0, 2]), line(1, 1, 1, classes=[0]))
    text = str(metric.compute(0))
    assert [row.split()[0] for row in text.split("\n\n")[1].splitlines()] == ["class", "sky", "car"]
    assert text.endswith("nothing of: road, person")


def test_a_class_without_things_or_stuff():
    stuff = ClassSet(("sky", "road"))
    metric = Panoptic(stuff)
    metric.update(line(1, 2, classes=[0, 1]), line(1, 1, classes=[0]))
    scores = metric.compute()
    assert np.isnan(scores["pq_things"])
    assert scores["pq"] == scores["pq_stuff"] == 0
    assert scores.unpredicted() == ["road"]


def test_two_segments_of_one_stuff_class_are_two():
    assert counts_of(line(1, 1, 2, 2, classes=[0, 0]), line(1, 1, 1, 1, classes=[0]))[0].tolist() == [0, 0, 1, 2]


# -- against others ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_parity_with_loops_over_masks(seed):
    truth = blobs(seed)
    guess = shaken(truth, seed + 100)
    counts = counts_of(truth, guess)
    np.testing.assert_allclose(counts, plain(truth, guess), rtol=1e-12)
    assert counts[:, 1].sum() > 0


@pytest.mark.parametrize("seed", range(8))
def test_maps_of_other_numbers_say_what_their_segments_do(seed):
    truth = blobs(seed)
    guess = shaken(truth, seed + 100)
    rng, sides = np.random.default_rng(seed), []
    for side in (truth, guess):
        numbers = rng.permutation(2**24 - 1)[: len(side)] + 1
        maps = np.concatenate([[0], numbers, [0]])[side.ids[0]]
        sides.append((maps, dict(zip(numbers.tolist(), side.classes.tolist(), strict=True))))
    (maps, classes), (given, given_classes) = sides
    crowd = [number for number, flag in zip(classes, truth.crowd, strict=True) if flag]
    metric = Panoptic(FOUR)
    metric.update_maps(maps.astype(np.int32), classes, given.astype(np.uint32), given_classes, crowd=crowd)
    void = [side.with_ids(np.where(side.ids == 0, -1, side.ids)) for side in (truth, guess)]
    np.testing.assert_array_equal(metric.counts[0][:, :4], counts_of(*void))
    assert metric.counts[0][:, 1].sum() > 0


def test_a_number_without_a_class_and_a_class_that_is_none():
    metric, maps = Panoptic(FOUR), np.array([[7, 0]])
    with pytest.raises(InvalidNoun, match="map of truth: expected numbers of segments, or of void, received 0"):
        metric.update_maps(maps, {7: 1}, maps, {7: 1}, void=1)
    with pytest.raises(InvalidNoun, match="classes of truth: expected indices 0..3, received"):
        metric.update_maps(maps, {7: 4}, maps, {7: 1})
    with pytest.raises(IntarsiaError, match="one shape"):
        metric.update_maps(maps, {7: 1}, maps.T, {7: 1})
    metric.update_maps(maps, {7: 1, 0: 2}, maps, {7: 1, 0: 2})  # listed, so not void
    assert metric.counts[0][:, 1].tolist() == [0, 1, 1, 0]


def coloured(segments):
    """(1, H, W, 2) class, 4 where void, and id."""
    classes = np.concatenate([[4], segments.classes, [4]])[segments.ids[0]]
    return torch.from_numpy(np.stack([classes, segments.ids[0]], axis=-1)[None])


def test_parity_with_torchmetrics():
    """Where both ask the same: it merges the segments of a stuff class and takes what is not predicted for void, so here stuff is
    one segment and all is predicted; it has no crowd and no nothing. Its IoUs are float32.
    """
    theirs, ours = PanopticQuality({2, 3}, {0, 1}, return_sq_and_rq=True, return_per_class=True), Panoptic(FOUR)
    for seed in range(12):
        truth = blobs(seed, full=True, crowd=0)
        guess = shaken(truth, seed + 50).with_ids(np.maximum(shaken(truth, seed + 50).ids, 1))
        truth, guess = (
            Segments(side.ids, np.where(np.arange(9) < 2, np.arange(9), 2 + np.arange(9) % 2)) for side in (truth, guess)
        )
        ours.update(truth, guess)
        theirs.update(coloured(guess), coloured(truth))
    scores = ours.compute(0)
    expected = theirs.compute().numpy().reshape(4, 3)  # things first
    for column, name in enumerate(("class_pq", "class_sq", "class_rq")):
        np.testing.assert_allclose(scores[name], expected[[2, 3, 0, 1], column], rtol=1e-6)
    assert 0.2 < scores["pq"] < 0.9


@pytest.mark.data
def test_real_segments_with_themselves_and_with_half_of_them(data_dir):
    """COCO's own panoptic sample: 18 and 32 segments."""
    data = intarsia.open_dataset(data_dir / "coco_panoptic")
    metric, half = Panoptic(data.classes), Panoptic(data.classes)
    for sample in data:
        metric.update(sample.segments, sample.segments)
        half.update(sample.segments, sample.segments.select(np.arange(len(sample.segments)) % 2 == 0))
    segments = sum(len(sample.segments) - sample.segments.crowd.sum() for sample in data)
    assert metric.compute(0)["matched"].sum() == segments
    assert metric.compute(0)["pq"] == 1
    scores = half.compute(0)
    assert (scores["matched"] + scores["missed"]).sum() == segments
    assert scores["false_alarms"].sum() == 0
    assert set(scores.unpredicted()) == {name for name, pq in zip(scores.names, scores["class_pq"], strict=True) if pq == 0}


# -- layers --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_layers_are_flattened_as_the_classes_are(seed):
    rng = np.random.default_rng(seed)
    masks = np.zeros((6, 30, 30), bool)
    for mask in masks:
        top, left = rng.integers(0, 20, 2)
        mask[top : top + 14, left : left + 12] = True
    layered = pack(masks, rng.integers(0, 4, 6), scores=rng.choice([0.5, 0.7, 0.9], 6), void=rng.random((30, 30)) < 0.05)
    assert len(layered.ids) > 1
    order = sorted(range(6), key=lambda row: (layered.scores[row], row))
    flat = np.zeros((30, 30), int)
    for row in order:
        flat[layered.mask(row)] = row + 1
    flat[layered.void] = -1
    alone = Segments(flat[None], layered.classes)
    other = blobs(seed, (30, 30))
    np.testing.assert_array_equal(counts_of(layered, other), counts_of(alone, other))
    np.testing.assert_array_equal(counts_of(other, layered), counts_of(other, alone))
    assert (alone.semantic(4) == layered.semantic(4)).all()


def test_a_crowd_yields_to_the_objects_over_it():
    truth = Segments([[[1, 1, 0]], [[2, 2, 2]]], [2, 2], crowd=[False, True])
    assert counts_of(truth, line(1, 1, 0, classes=[2]))[2].tolist() == [1, 1, 0, 0]


# -- boundaries ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("width", [0.02, 0.06])
def test_boundary_parity_with_an_erosion_of_each_mask(seed, width):
    truth = blobs(seed, void=False)
    guess = shaken(truth, seed + 100)
    counts = counts_of(truth, guess, BoundaryPanoptic, width=width)
    np.testing.assert_allclose(counts, plain(truth, guess, band=width), rtol=1e-12)


def test_the_boundary_asks_for_more_than_the_mask():
    truth = np.ones((1, 60, 80), int)
    truth[:, 20:40, 20:60] = 2
    guess = np.ones_like(truth)
    guess[:, 21:40, 22:62] = 2
    pair = Segments(truth, [0, 2]), Segments(guess, [0, 2])
    plain_iou, boundary_iou = (counts_of(*pair, metric)[2, 0] for metric in (Panoptic, BoundaryPanoptic))
    assert plain_iou == pytest.approx(19 * 38 / (800 + 760 - 19 * 38))  # both cover rows 21..39, columns 22..59
    assert boundary_iou == 0  # 2 pixels wide: less than half of the bands is shared
    wide = counts_of(*pair, BoundaryPanoptic, width=0.2)[2, 0]
    assert wide == pytest.approx(plain_iou)  # a band of 20 pixels is the whole segment


def test_a_prediction_over_void_keeps_its_boundary_elsewhere():
    """Void in a corner of a segment and void between two: what is predicted there, and where it ends, does not count."""
    truth = np.full((1, 40, 60), 1)
    truth[..., 30:] = 2
    truth[:, :10, :10] = truth[..., 28:32] = -1
    sides = Segments(truth, [2, 2])
    for filling in ([1, 1], [1, 2], [0, 2], [2, 1]):
        guess = truth.copy()
        guess[:, :10, :10][guess[:, :10, :10] < 0] = filling[0]
        guess[guess < 0] = filling[1]
        assert counts_of(sides, Segments(guess, [2, 2]), BoundaryPanoptic)[2].tolist() == [2, 2, 0, 0]


def test_void_that_parts_two_segments_is_no_part_of_the_band_of_either():
    """A hole of void across their border, away from the edge: along it neither side has another outline than the truth."""
    truth = np.full((1, 40, 60), 1)
    truth[..., 30:] = 2
    whole = truth.copy()
    truth[:, 15:25, 20:40] = -1
    for guess in (whole, np.where(truth < 0, 1, whole), np.where(truth < 0, 2, whole)):
        counts = counts_of(Segments(truth, [2, 3]), Segments(guess, [2, 3]), BoundaryPanoptic)
        assert counts[2:].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]


def test_volumes_too():
    ids = np.zeros((1, 8, 20, 24), int)
    ids[:, 2:6, 4:16, 4:12], ids[:, 2:6, 4:16, 14:20] = 1, 2
    truth = Segments(ids, [2, 3])
    for metric in (Panoptic, BoundaryPanoptic):
        assert counts_of(truth, truth, metric)[2:].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
        moved = counts_of(truth, truth.with_ids(np.roll(ids, 1, axis=3)), metric)
        assert 0 < moved[2, 0] < 1
        assert moved[2, 0] > moved[3, 0]  # the wider one loses less


def test_a_wrong_width():
    with pytest.raises(OptionError, match=r"boundary_panoptic width: expected a share of the diagonal within 0..1, received 2"):
        BoundaryPanoptic(FOUR, width=2)


# -- what the engine reads -----------------------------------------------------------------------------------------------------


def test_intervals_and_the_truth_of_an_image():
    metric = Panoptic(FOUR)
    for seed in range(8):
        metric.update(blobs(seed), shaken(blobs(seed), seed), key=str(seed))
    scores = metric.compute(intervals=100)
    low, high = scores.intervals["pq"]
    assert low < scores["pq"] < high
    assert scores.intervals["class_pq"].shape == (4, 2)
    truth = blobs(3)
    of_class, pixels = metric.truth(metric.images()["3"])
    kept = truth.compact()
    assert of_class.tolist() == np.bincount(kept.classes[~kept.crowd], minlength=4).tolist()
    other = Panoptic(FOUR)
    other.update(truth, truth.with_ids(np.full_like(truth.ids, -1)))
    assert (other.truth(other.counts[0]) == metric.truth(metric.images()["3"])).all()
    assert pixels.tolist() == np.bincount(truth.semantic(4)[truth.semantic(4) >= 0], minlength=5)[:4].tolist()
