"""Counting: a table worked by hand, scikit-learn's numbers, what counts as an object, crowds, tiles."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import OptionError
from intarsia.metrics.counting import Counting
from intarsia.ops.packing import pack

THREE = ClassSet(("sky", "car", "person"), things=("car", "person"))


def objects(*classes, size=12, **options):
    """A pixel for each object, then nothing."""
    ids = np.zeros((1, 1, size), int)
    ids[0, 0, : len(classes)] = np.arange(1, len(classes) + 1)
    return Segments(ids, classes, **options)


def counted(pairs, classes=THREE, **options):
    metric = Counting(classes, **options)
    for truth, guess in pairs:
        metric.update(truth, guess)
    return metric


def test_golden_table():
    """True and predicted cars 3, 2 | 1, 1 | 2, 4; persons 0, 0 | 0, 1 | 3, 3; the sky is no thing. By hand:

    car:    errors 1, 0, 2; mean of the truth 2, its squares about it 1 + 1 + 0.
    person: errors 0, 1, 0; mean 1, squares 1 + 1 + 4.    together: errors 4 in 6, mean 9/6, squares 9 + 1 + 4 + 9 - 81/6.
    """
    pairs = [
        (objects(0, 1, 1, 1), objects(0, 0, 1, 1)),
        (objects(0, 1), objects(1, 2)),
        (objects(1, 1, 2, 2, 2), objects(1, 1, 1, 1, 2, 2, 2)),
    ]
    scores = counted(pairs).compute(0)
    np.testing.assert_allclose(scores["class_mae"], [np.nan, 3 / 3, 1 / 3])
    np.testing.assert_allclose(scores["class_relative_error"], [np.nan, 3 / 6, 1 / 3])
    np.testing.assert_allclose(scores["class_r2"], [np.nan, 1 - 5 / 2, 1 - 1 / 6])
    np.testing.assert_allclose(scores["class_true_count"], [np.nan, 2, 1])
    np.testing.assert_allclose(scores["class_predicted_count"], [np.nan, 7 / 3, 4 / 3])
    assert scores["mae"] == pytest.approx(4 / 6)
    assert scores["relative_error"] == pytest.approx(4 / 9)
    assert scores["r2"] == pytest.approx(1 - 6 / (23 - 81 / 6))
    assert (scores["true_count"], scores["predicted_count"]) == (pytest.approx(9 / 6), pytest.approx(11 / 6))


def test_parity_with_scikit_learn():
    rng = np.random.default_rng(0)
    true, found = rng.integers(0, 6, (2, 40, 2))
    pairs = [[objects(*np.repeat([1, 2], numbers)) for numbers in pair] for pair in zip(true, found, strict=True)]
    scores = counted(pairs).compute(intervals=200)
    np.testing.assert_allclose(scores["class_mae"][1:], mean_absolute_error(true, found, multioutput="raw_values"))
    np.testing.assert_allclose(scores["class_r2"][1:], r2_score(true, found, multioutput="raw_values"))
    assert scores["mae"] == pytest.approx(mean_absolute_error(true.ravel(), found.ravel()))
    assert scores["r2"] == pytest.approx(r2_score(true.ravel(), found.ravel()))
    low, high = scores.intervals["mae"]
    assert low < scores["mae"] < high


def test_the_threshold():
    guess = objects(1, 1, 1, scores=[0.9, 0.5, 0.3])
    for threshold, count in ((0.0, 3), (0.5, 2), (0.6, 1), (1, 0)):
        assert counted([(objects(1), guess)], threshold=threshold).compute(0)["class_predicted_count"][1] == count
    with pytest.raises(OptionError, match=r"counting threshold: expected a score within 0..1, received 2"):
        Counting(THREE, threshold=2)


def test_the_score_of_a_row_of_truth_is_no_matter():
    assert counted([(objects(1, 1, scores=[0.1, 0.2]), objects(1))]).compute(0)["class_true_count"][1] == 2


def test_a_row_without_pixels_is_no_object():
    empty = Segments([[[1, 0]]], [1, 1, 1])
    assert counted([(empty, empty)]).counts[0][1].tolist() == [1, 1, 0]
    crowd = Segments([[[1, 0]]], [1, 1], crowd=[False, True])
    assert counted([(crowd, crowd)]).counts[0][1].tolist() == [1, 1, 0]


def test_a_crowd_in_an_answer_is_no_object():
    """As where a data set stands in for a network."""
    assert counted([(objects(1), objects(1, 1, crowd=[False, True]))]).counts[0][1].tolist() == [1, 1, 0]


@pytest.mark.parametrize(("ids", "count"), [((0, 0, 1, 1), 0), ((0, 1, 1, 1), 0), ((0, 1, 1, 0), 1), ((1, 1, 1, 1), 1)])
def test_what_lies_for_more_than_half_in_void_does_not_count(ids, count):
    truth = Segments([[[0, 0, -1, -1]]], [])
    assert counted([(truth, Segments([[ids]], [1]))]).counts[0][1].tolist() == [0, count, 0]


def test_overlapping_objects_count_by_all_their_pixels():
    """Of a mask under another, in a layer above, three of four pixels are known."""
    void = np.array([[False, False, False, True]])
    masks = np.array([[[1, 1, 1, 1]], [[1, 1, 1, 0]], [[0, 0, 0, 1]]], bool)
    truth = Segments([[[1, 1, 1, -1]]], [1])
    assert len(pack(masks, [1, 1, 1]).ids) == 2
    assert counted([(truth, pack(masks, [1, 1, 1]))]).counts[0][1].tolist() == [1, 2, 0]
    assert counted([(pack(masks, [1, 1, 1], void=void), truth.with_ids(np.abs(truth.ids)))]).counts[0][1].tolist() == [2, 1, 0]


def test_a_class_with_a_crowd_has_no_known_count_in_that_image():
    crowded = objects(1, 1, 2, crowd=[False, True, False])
    scores = counted([(crowded, objects(1, 1, 1, 2)), (objects(1, 2, 2), objects(1, 2))]).compute(0)
    np.testing.assert_allclose(scores["class_mae"], [np.nan, 0, 1 / 2])
    np.testing.assert_allclose(scores["class_true_count"], [np.nan, 1, 3 / 2])
    assert scores["mae"] == pytest.approx(1 / 3)
    none = counted([(crowded, objects())] * 2).compute(0)
    assert np.isnan(none["class_mae"][1])
    assert none["mae"] == 1


def test_where_a_score_is_not_defined():
    scores = counted([(objects(1, 1), objects(1)), (objects(1, 1), objects(1, 1))]).compute(0)
    assert np.isnan(scores["class_r2"][1:]).all()  # the counts do not differ
    assert scores["class_relative_error"][1] == pytest.approx(1 / 4)
    assert np.isnan(scores["class_relative_error"][2])  # no person is there
    assert np.isnan(scores["class_mae"][2])  # nor is one told
    assert scores["mae"] == 1 / 2  # of cars alone
    told = counted([(objects(1, 1), objects(1)), (objects(1, 1), objects(1, 1, 2))]).compute(0)
    assert (told["class_mae"][2], told["mae"]) == (1 / 2, 1 / 2)
    assert told["r2"] == pytest.approx(1 - 2 / 4)  # 2, 0, 2, 0 differ


def test_without_things_all_classes_are_counted():
    nuclei = ClassSet(("nucleus", "debris"))
    scores = counted([(objects(0, 0, 1), objects(0))], nuclei).compute(0)
    assert scores["class_mae"].tolist() == [1, 1]
    assert scores.unpredicted() == ["debris"]


def test_tiles_of_an_image_add_up():
    metric = Counting(THREE)
    for truth, guess in ((objects(1, 1), objects(1)), (objects(1), objects(1, 1))):
        metric.update(truth, guess, key="one")
    metric.update(objects(1), objects(1), key="other")
    scores = metric.compute(0)
    assert scores.images == 2
    assert scores["class_mae"][1] == 0  # 3 for 3, wherever they are
    assert scores["class_true_count"][1] == 2


def test_what_is_better():
    metric = Counting(THREE)
    best = {name: metric.best(name) for name in ("mae", "relative_error", "class_mae", "r2", "class_r2", "true_count")}
    assert best == {"mae": 0, "relative_error": 0, "class_mae": 0, "r2": 1, "class_r2": 1, "true_count": None}
