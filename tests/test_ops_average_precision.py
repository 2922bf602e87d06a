"""Overlaps, matching and average precision of detections, by tables worked on paper, and by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import Segments
from intarsia.core.errors import IntarsiaError
from intarsia.ops.average_precision import RECALLS, average_precision, weighted_totals
from intarsia.ops.boxes import box_extents, shared_extents
from intarsia.ops.greedy_matching import THRESHOLDS, greedy_matches
from intarsia.ops.object_overlaps import CHUNK, object_overlaps
from intarsia.ops.packing import pack

NO = np.zeros(2, np.bool_)


def matched(overlaps, ignored=NO, crowd=NO):
    """(T, M) of each threshold and detection: matched, and to an ignored object."""
    found = greedy_matches(np.array(overlaps), np.array(ignored)[None], np.array(crowd))
    return [(bits[0] >> np.arange(10)[:, None] & 1).astype(bool) for bits in found]


def ap(hits, positives, **more):
    """Of one class in one image, or as `more` says."""
    hits = np.array(hits, np.bool_)
    given = {"group": np.zeros(len(hits), int), "image": np.zeros(len(hits), int), "weights": np.ones((1, 1))} | more
    return average_precision(hits, given["group"], given["image"], np.array(positives, float).reshape(1, -1), given["weights"])


# -- three detections, two objects, on paper ---------------------------------------------------------------------------------


def test_three_detections_two_objects_by_hand():
    """Of objects a and b: the first detection overlaps a by 0.72, the second a by 0.81, the third b by 0.52 and a by 0.6.

    t     first  second  third
    0.50    a      -       b      b is all that is free
    0.55    a      -       -      b is not enough
    0.70    a      -       -
    0.75    -      a       -      the first does not reach it
    0.80    -      a       -
    0.85    -      -       -
    """
    found, ignored = matched([[0.72, 0.0], [0.81, 0.0], [0.6, 0.52]])
    by_hand = [[1, 0, 1], *[[1, 0, 0]] * 4, *[[0, 1, 0]] * 2, *[[0, 0, 0]] * 3]
    np.testing.assert_array_equal(found, np.array(by_hand, bool))
    assert not ignored.any()


def test_average_precision_by_hand():
    """Two objects. At 0.50 right, wrong, right: precision 1 up to recall 1/2 (51 of the 101), then 2/3 (50).
    From 0.55 on right, wrong, wrong: 1 up to 1/2, then 0. From 0.75 on wrong, right, wrong: 1/2 up to 1/2, then 0.
    """
    assert ap([1, 0, 1], 2)[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert ap([1, 0, 0], 2)[0, 0] == pytest.approx(51 / 101)
    assert ap([0, 1, 0], 2)[0, 0] == pytest.approx(51 / 2 / 101)
    assert ap([0, 0, 0], 2)[0, 0] == 0


def test_the_envelope_looks_ahead():
    """Wrong, right, right, right, of four: precision 1/2, 2/3, 3/4; at a lower recall counts the best that comes later."""
    assert ap([0, 1, 1, 1], 4)[0, 0] == pytest.approx(76 * 0.75 / 101)


def test_a_recall_counts_from_where_it_is_met_to_the_last_bit():
    """35 of 100: COCO's 0.35000000000000003 is not met by 35 / 100, while 0.34 and 0.36 are by theirs."""
    assert [RECALLS[35] > 0.35, RECALLS[34] > 0.34] == [True, False]
    for right in range(1, 101):
        expected = np.sum(np.float64(right) / 100 >= RECALLS) / 101
        assert ap([1] * right, 100)[0, 0] == pytest.approx(expected, abs=1e-12), right


def test_without_positives_it_is_not_defined():
    values = ap([1, 0], [1, 0, 2], group=np.array([0, 1]))
    np.testing.assert_array_equal(values, [[1, np.nan, 0]])
    np.testing.assert_array_equal(ap([], [0, 3]), [[np.nan, 0]])


# -- rules of matching -------------------------------------------------------------------------------------------------------


def test_of_equal_overlaps_the_last_object_is_taken():
    found, _ = matched([[0.9, 0.9], [0.9, 0.4]])
    assert found[0].tolist() == [True, True]


def test_an_ignored_object_is_taken_only_where_no_other_will_do():
    found, ignored = matched([[0.95, 0.6]], ignored=[True, False])
    assert found[:, 0].tolist() == [True] * 10
    assert ignored[:, 0].tolist() == [False] * 3 + [True] * 7  # from 0.65 on


def test_an_ignored_object_is_taken_once_and_a_crowd_many_times():
    overlaps = [[0.9, 0.0]] * 3
    assert matched(overlaps, ignored=[True, False])[0][0].tolist() == [True, False, False]
    found, ignored = matched(overlaps, ignored=[True, False], crowd=[True, False])
    assert (found[0] & ignored[0]).tolist() == [True] * 3


@pytest.mark.parametrize("threshold", range(10))
def test_an_overlap_of_just_the_threshold_is_enough(threshold):
    value = THRESHOLDS[threshold]
    assert matched([[value, 0.0]])[0].sum() == threshold + 1
    assert matched([[np.nextafter(value, 0), 0.0]])[0].sum() == threshold


def test_nothing_to_match():
    for shape in ((0, 0), (0, 3), (3, 0)):
        found, ignored = greedy_matches(np.zeros(shape), np.zeros((2, shape[1]), bool), np.zeros(shape[1], bool))
        assert found.tolist() == ignored.tolist() == [[0] * shape[0]] * 2


def plain_matches(overlaps, ignored, crowd, threshold):
    """evaluateImg of pycocotools, for one threshold."""
    order = np.argsort(ignored, kind="stable")
    taken, found, dropped = set(), [], []
    for row in overlaps:
        best, match = threshold, -1
        for place in order:
            if place in taken and not crowd[place]:
                continue
            if match > -1 and not ignored[match] and ignored[place]:
                break
            if row[place] >= best:
                best, match = row[place], place
        taken.add(match)
        found.append(match > -1)
        dropped.append(bool(match > -1 and ignored[match]))
    return found, dropped


@given(st.data())
def test_matches_are_those_of_the_plain_loop(data):
    detections, objects = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 4))
    grid = st.sampled_from([0.0, 0.3, 0.5, 0.55, 0.62, 0.75, 0.9, 1.0])  # few values, so many ties
    overlaps = data.draw(hnp.arrays(np.float64, (detections, objects), elements=grid))
    crowd = data.draw(hnp.arrays(np.bool_, objects))
    ignored = data.draw(hnp.arrays(np.bool_, objects)) | crowd
    found, dropped = matched(overlaps, ignored, crowd)
    for threshold, one, other in zip(THRESHOLDS, found, dropped, strict=True):
        assert plain_matches(overlaps, ignored, crowd, threshold) == (one.tolist(), other.tolist())


# -- draws -------------------------------------------------------------------------------------------------------------------


def plain_precision(hits, positives):
    """accumulate of pycocotools."""
    right, seen = np.cumsum(hits), np.arange(1, len(hits) + 1)
    precision, recall = right / seen, right / positives
    return np.mean([precision[recall >= r].max(initial=0) for r in RECALLS])


@given(st.data())
def test_draws_are_images_repeated(data):
    count, images, draws = data.draw(st.integers(0, 12)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 20))
    hits, image = (
        data.draw(hnp.arrays(np.bool_, count)),
        data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, images - 1))),
    )
    group = np.sort(data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 2))))
    weights = data.draw(hnp.arrays(np.int64, (draws, images), elements=st.integers(0, 3))).astype(float)
    missed = data.draw(hnp.arrays(np.int64, (images, 3), elements=st.integers(0, 3)))
    there = missed + np.stack([np.bincount(image[hits & (group == k)], minlength=images) for k in range(3)], axis=1)  # (I, C)
    found = average_precision(hits, group, image, weights @ there, weights)
    for draw, counts in enumerate(weights.astype(int)):
        for k in range(3):
            positives, own = counts @ there[:, k], group == k
            repeated = np.repeat(hits[own], counts[image[own]])
            expected = plain_precision(repeated, positives) if positives else np.nan
            np.testing.assert_allclose(found[draw, k], expected, atol=1e-12)


def test_draws_cut_in_blocks_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    hits, image, group = rng.random(200) < 0.4, rng.integers(0, 9, 200), np.sort(rng.integers(0, 4, 200))
    weights = rng.multinomial(9, np.full(9, 1 / 9), size=50).astype(float)
    positives = weighted_totals(hits + 1, group, image, 4, weights)
    whole = average_precision(hits, group, image, positives, weights)
    monkeypatch.setattr("intarsia.ops.average_precision.CELLS", 7 * int(hits.sum()))
    np.testing.assert_allclose(average_precision(hits, group, image, positives, weights), whole, atol=1e-12)
    alone = [average_precision(hits, group, image, positives[[row]], weights[[row]])[0] for row in range(50)]
    np.testing.assert_allclose(whole, alone, atol=1e-12)


# -- overlaps ----------------------------------------------------------------------------------------------------------------


@given(st.data())
def test_overlaps_are_those_of_masks(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6))
    masks, others = (data.draw(hnp.arrays(np.bool_, (data.draw(st.integers(0, 5)), *shape))) for _ in range(2))
    void = data.draw(hnp.arrays(np.bool_, shape))
    truth = pack(masks, np.zeros(len(masks)), void=void if data.draw(st.booleans()) else None)
    prediction = pack(others, np.zeros(len(others)), void=np.roll(void, 1) if data.draw(st.booleans()) else None)
    found = object_overlaps(truth, prediction)
    known, of_truth, of_prediction = ~truth.void, truth.masks, prediction.masks
    both = np.array([[(a & b).sum() for b in of_prediction] for a in of_truth]).reshape(len(masks), len(others))
    np.testing.assert_array_equal(found.shared, both)
    np.testing.assert_array_equal(found.truth, [mask.sum() for mask in of_truth])
    np.testing.assert_array_equal(found.prediction, [(mask & known).sum() for mask in of_prediction])
    np.testing.assert_array_equal(found.void, [(mask & truth.void).sum() for mask in of_prediction])
    union = np.array([[(a | (b & known)).sum() for b in of_prediction] for a in of_truth]).reshape(both.shape)
    np.testing.assert_allclose(found.iou(), both / np.maximum(union, 1))


def test_overlaps_of_images_larger_than_a_chunk_and_of_noise():
    rng = np.random.default_rng(0)
    size = (300, CHUNK // 200)
    truth, prediction = (Segments(rng.integers(-1, 300, (1, *size)), np.zeros(300)) for _ in range(2))
    table = np.zeros((301, 301), int)
    np.add.at(table, (truth.ids[0].astype(int), prediction.ids[0].astype(int)), 1)  # void is the last row
    found = object_overlaps(truth, prediction)
    np.testing.assert_array_equal(found.shared[:-1, :-1], table[1:-1, 1:-1])
    np.testing.assert_array_equal(found.void[:-1], table[-1, 1:-1])
    np.testing.assert_array_equal(found.prediction[:-1], table[:-1, 1:-1].sum(axis=0))


def test_void_is_void_in_every_layer():
    truth = Segments([[[-1, 1, 0]], [[2, 2, 0]]], [0, 0])
    found = object_overlaps(truth, Segments([[[1, 1, 1]]], [0]))
    assert (found.shared.tolist(), found.truth.tolist(), found.prediction.tolist()) == ([[1], [1]], [1, 1], [2])


def test_overlaps_need_one_size():
    with pytest.raises(IntarsiaError, match=r"objects of two answers: expected one size, \(2, 3\), received \(3, 2\)"):
        object_overlaps(Segments.empty((2, 3)), Segments.empty((3, 2)))


def test_boxes_by_hand():
    one = np.array([[0, 0, 4, 2], [1, 1, 1, 1]])
    assert box_extents(one).tolist() == [8, 0]
    assert shared_extents(one, np.array([[3, 1, 9, 9], [4, 0, 5, 2], [-1, -1, 9, 9]])).tolist() == [[1, 0, 8], [0, 0, 0]]
    cubes = np.array([[0, 0, 0, 2, 2, 2]])
    assert (box_extents(cubes).tolist(), shared_extents(cubes, cubes + 1).tolist()) == ([8], [[1]])
    assert shared_extents(np.zeros((0, 4)), one).shape == (0, 2)
