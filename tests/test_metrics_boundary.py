"""Boundary IoU against the code of its authors, boundary F1 against one written out in loops, and tables worked by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import OptionError
from intarsia.metrics.boundary import Boundary
from intarsia.ops.boundaries import band, edges, nearest_distances
from plain_outlines import distances, plain_outlines, ringed, square

THREE = ClassSet(("sky", "road", "car"), nothing=True)


def authors_boundary(mask, ratio):
    """mask_to_boundary of github.com/bowenc0221/boundary-iou-api (boundary_iou/utils/boundary_utils.py)."""
    height, width = mask.shape
    dilation = max(1, round(ratio * np.sqrt(height**2 + width**2)))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=dilation)
    return mask - eroded[1 : height + 1, 1 : width + 1]


def blobs(seed, size=(60, 80), classes=4, void=False):
    """A label map of smooth regions, some of them void."""
    noise = np.random.default_rng(seed).random((classes + void, *size)).astype(np.float32)
    labels = np.argmax([cv2.GaussianBlur(layer, (0, 0), 6) for layer in noise], axis=0)
    return np.where(labels == classes, -1, labels)


def scored(truth, guess, classes=THREE, **options):
    metric = Boundary(classes, **options)
    metric.update(Segments.from_semantic(truth, len(classes)), Segments.from_semantic(guess, len(classes)))
    return metric.compute()


@pytest.mark.parametrize("ratio", [0.001, 0.02, 0.1])
def test_boundary_iou_is_that_of_its_authors(ratio):
    counts = np.zeros((2, 3))
    metric = Boundary(THREE, width=ratio)
    for seed in range(4):
        truth, guess = blobs(seed), np.roll(blobs(seed), seed, axis=1)
        for k in range(3):
            one, other = (authors_boundary((labels == k).astype(np.uint8), ratio) for labels in (truth, guess))
            counts[:, k] += (one & other).sum(), (one | other).sum()
        metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
    scores = metric.compute()
    np.testing.assert_allclose(scores["boundary_iou"], counts[0] / counts[1])
    assert scores["mean_boundary_iou"] == pytest.approx((counts[0] / counts[1]).mean())


def test_the_band_by_hand():
    """One pixel along every axis: those of the 7x7 image's edge, and those beside the change of label between columns 2 and 3."""
    labels = np.array([[0, 0, 0, 1, 1, 1, 1]] * 7)
    found = band(labels, 1)
    assert found[1:-1, 1:-1].tolist() == [[False, True, True, False, False]] * 5
    assert found.sum() == 24 + 10
    known = np.ones((7, 7), bool)
    known[:, 3] = False  # the change of label is no longer seen from one pixel away
    assert band(labels, 1, known)[1:-1, 1:-1].sum() == 0
    assert band(labels, 2, known)[2:-2, 2:-2].tolist() == [[True, False, True]] * 3


def test_the_band_of_a_volume_is_that_of_its_planes_and_of_their_neighbours():
    labels = np.random.default_rng(0).integers(0, 2, (9, 8, 7)).repeat(2, 0).repeat(3, 1).repeat(3, 2)
    found = band(labels, 2)
    padded = np.pad(labels, 2, constant_values=9)
    for place in np.ndindex(labels.shape):
        window = padded[tuple(slice(at, at + 5) for at in place)]
        assert found[place] == (window != labels[place]).any()


def test_many_classes():
    labels = np.arange(300).repeat(4).reshape(1, -1).repeat(9, 0)
    assert band(labels, 1)[4].tolist() == [True, False, False, True] * 300
    classes = ClassSet(tuple(map(str, range(127))))  # 128, void predicted, needs another type than -1..127
    truth = (np.arange(254) % 127).repeat(8).reshape(1, -1).repeat(60, 0)
    guess = Segments.from_semantic(truth, 127).with_ids(np.full((1, *truth.shape), -1))
    metric = Boundary(classes)
    metric.update(Segments.from_semantic(truth, 127), guess)
    assert metric.compute()["mean_boundary_f1"] == 0


def loops_f1(truth, guess, k, reach):
    """Boundary F1 of one class in plain loops; None where neither has an outline."""
    one, other, maybe = plain_outlines(truth, guess, k, frame=False)
    seen = [(labels[truth >= 0] == k).any() for labels in (truth, guess)]
    if seen[0] != seen[1]:
        return 0.0
    if not one and not other:
        return None
    precision = (distances(other, maybe) <= reach).mean() if other and maybe else float(not other)
    recall = (distances(one, other) <= reach).mean() if one and other else float(not one)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_boundary_f1_is_that_of_plain_loops():
    metric, expected = Boundary(THREE, tolerance=0.04), []
    for seed in range(4):
        truth = blobs(seed, (30, 40), void=True)
        guess = np.roll(blobs(seed, (30, 40)), 3, axis=0)
        if seed == 3:
            guess[guess == 2] = 0
        metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
        expected.append([loops_f1(truth, guess, k, 0.04 * 50) for k in range(3)])
    means = np.nanmean(np.array(expected, float), axis=0)
    np.testing.assert_allclose(metric.compute()["boundary_f1"], means)


@pytest.mark.parametrize("answer", [(23, 37, 33, 47), (21, 38, 31, 48), (20, 40, 30, 50)])
def test_an_object_ringed_by_void_is_right_wherever_in_the_void_it_ends(answer):
    assert scored(ringed(), square(*answer))["boundary_iou"][:2].tolist() == [1, 1]
    assert scored(ringed(), square(*answer))["boundary_f1"][:2].tolist() == [1, 1]


def test_a_row_missed_within_a_ring_of_void_costs_that_row():
    """The object is 14x14, the band 2 wide, the tolerance below a pixel. Missing the upper row, outline: 52 pixels of the truth, of
    which the 2 x 13 at the sides and the 12 between them below remain; 50 of the answer, of which its upper row's 12 are none.
    """
    scores = scored(ringed(), square(24, 37, 33, 47))
    assert scores["boundary_f1"][1] == pytest.approx(2 * (38 / 50) * (38 / 52) / (38 / 50 + 38 / 52))
    truth = 14 * 14 - 10 * 10
    answer, both = 13 * 14 - 9 * 10, 13 * 14 - 9 * 10 - 10
    assert scores["boundary_iou"][1] == pytest.approx(both / (truth + answer - both))
    assert scored(ringed(), square(24, 37, 33, 47), tolerance=0.011)["boundary_f1"][:2].tolist() == [1, 1]


def test_a_row_beyond_a_ring_of_void_costs_that_row():
    scores = scored(ringed(), square(19, 40, 30, 50))
    assert scores["boundary_f1"][1] == pytest.approx(2 * (52 / 72) / (52 / 72 + 1))  # 20 pixels beyond, the nearest void 1 away
    assert scores["boundary_iou"][1] == pytest.approx(96 / (96 + 20))
    assert scored(ringed(), square(19, 40, 30, 50), tolerance=0.011)["boundary_f1"][1] == 1


def test_void_within_one_class_is_no_outline():
    """A speck that only sky surrounds; an answer that leaks out of it is as near as the speck, but for the tolerance."""
    truth = np.zeros((60, 80), int)
    truth[:, 60:] = 1
    truth[20:30, 20:30] = -1
    guess = np.where(truth == 1, 1, 0)
    assert scored(truth, guess)["boundary_f1"][0] == 1
    for inside in (1, 2):
        filled = np.where(truth < 0, inside, guess)
        assert scored(truth, filled).to_dict() == scored(truth, guess).to_dict()
    guess[19:31, 20:30] = 1
    assert scored(truth, guess, tolerance=0.02)["boundary_f1"][0] == 1
    assert scored(truth, guess, tolerance=0.005)["boundary_f1"][0] < 1


def test_what_only_one_side_holds_has_f1_0_even_without_an_outline():
    assert scored(np.zeros((20, 20), int), np.ones((20, 20), int))["boundary_f1"][:2].tolist() == [0, 0]


def test_outlines_by_hand():
    labels = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    assert edges(labels, frame=False).tolist() == [[False, True, True], [False, True, True], [False, False, True]]
    assert edges(np.zeros((3, 4), int), frame=True).tolist() == [[True] * 4, [True, False, False, True], [True] * 4]
    known = np.array([[True, True, False], [True, True, True], [True, True, True]])
    assert edges(labels, known, frame=False).tolist() == [[False, False, False], [False, True, True], [False, False, True]]


def test_a_distance_equal_to_the_tolerance_is_within():
    points, others = np.array([[0, 0], [0, 6]]), np.array([[3, 4]])
    assert nearest_distances(points, others, within=5.0).tolist() == [5.0, pytest.approx(np.sqrt(13))]
    assert nearest_distances(points, others, within=4.9).tolist() == [np.inf, pytest.approx(np.sqrt(13))]


def test_a_class_of_one_side_only_and_one_of_neither():
    truth, guess = np.zeros((2, 20, 20), int)
    truth[5:9, 5:9] = 1
    scores = scored(truth, guess)
    assert scores["boundary_f1"][1] == 0
    assert scores["boundary_iou"][1] == 0
    assert np.isnan(scores["boundary_f1"][2])
    assert np.isnan(scores["boundary_iou"][2])


def test_a_class_that_fills_both_images_has_no_outline_but_a_band():
    scores = scored(np.zeros((20, 20), int), np.zeros((20, 20), int))
    assert np.isnan(scores["boundary_f1"][0])
    assert scores["boundary_iou"][0] == 1


def test_nested_regions_are_each_scored_whole():
    """Whole and core are groups of their own: the core does not cut a hole into the whole."""
    nested = ClassSet(("whole", "core"), groups=(("whole",), ("core",)), nothing=True)
    ids = np.zeros((2, 60, 60), int)
    ids[0, 10:50, 10:50] = 1
    ids[1, 20:40, 20:40] = 2
    truth = Segments(ids, [0, 1])
    without = truth.select([0])
    metric = Boundary(nested)
    metric.update(truth, without)
    assert metric.compute()["boundary_iou"].tolist() == [1.0, 0.0]
    assert metric.compute()["boundary_f1"].tolist() == [1.0, 0.0]


def test_options():
    for wrong in (3, "big", [0.1], True, np.nan):
        with pytest.raises(OptionError, match=r"boundary width: expected a share of the diagonal within 0\.\.1, received "):
            Boundary(THREE, width=wrong)


def test_the_table():
    """The band is one pixel wide. Sky is 20x40 and 24x40: bands of 116 and 124, of which 78 in both; 78 / 162."""
    truth, guess = np.zeros((2, 40, 40), int)
    truth[:, 20:], guess[:, 24:] = 1, 1
    metric = Boundary(ClassSet(("sky", "motorway")))
    for key in "ab":
        metric.update(Segments.from_semantic(truth, 2), Segments.from_semantic(guess, 2), key)
    assert str(metric.compute()) == (
        "boundary: band 0.02, tolerance 0.0075 of the diagonal; values are 0..1, F1 is a mean over images\n"
        "mean_boundary_iou  0.4680 [0.4680, 0.4680]\n"
        "mean_boundary_f1   0.0000 [0.0000, 0.0000]\n"
        "\n"
        "class                boundary iou  boundary f1\n"
        "sky       0.4815 [0.4815, 0.4815]       0.0000\n"
        "motorway  0.4545 [0.4545, 0.4545]       0.0000"
    )
