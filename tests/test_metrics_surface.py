"""Surface distances against MONAI and torchmetrics, in two and three dimensions with spacing, and a table worked by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from torchmetrics.functional.segmentation import hausdorff_distance

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.metrics.surface import Surface
from plain_outlines import distances, plain_outlines, ringed, square

THREE = ClassSet(("sky", "road", "car"))


def blobs(seed, size, classes=3):
    noise = np.random.default_rng(seed).random((classes, *size)).astype(np.float32)
    if len(size) == 2:
        return np.argmax([cv2.GaussianBlur(layer, (0, 0), 4) for layer in noise], axis=0)
    from scipy.ndimage import gaussian_filter

    return np.argmax([gaussian_filter(layer, 2) for layer in noise], axis=0)


def one_hot(labels, count=3):
    return torch.from_numpy(np.stack([labels == k for k in range(count)])[None])


def scored(truth, guess, classes=THREE, **options):
    metric = Surface(classes, **options)
    metric.update(Segments.from_semantic(truth, len(classes)), Segments.from_semantic(guess, len(classes)))
    return metric.compute()


@pytest.mark.parametrize(
    ("size", "spacing"), [((50, 70), None), ((50, 70), (0.7, 1.3)), ((14, 20, 24), None), ((14, 20, 24), (3.0, 0.8, 0.8))]
)
def test_parity_with_monai(size, spacing):
    for seed in range(3):
        truth = blobs(seed, size)
        guess = np.where(np.random.default_rng(seed).random(size) < 0.02, 1, np.roll(truth, 2, axis=-1))
        scores = scored(truth, guess, spacing=spacing, tolerance=1.5)
        pair = {"y_pred": one_hot(guess), "y": one_hot(truth), "include_background": True, "spacing": spacing}
        expected = {
            "hausdorff": compute_hausdorff_distance(**pair),
            "hd95": compute_hausdorff_distance(percentile=95, **pair),
            "average_surface_distance": compute_average_surface_distance(symmetric=True, **pair),
            "surface_dice": compute_surface_dice(class_thresholds=[1.5] * 3, **pair),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(scores[name], values[0].numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


def test_parity_with_torchmetrics():
    truth, guess = blobs(5, (40, 40)), blobs(6, (40, 40))
    theirs = hausdorff_distance(one_hot(guess).int(), one_hot(truth).int(), num_classes=3, include_background=True)
    np.testing.assert_allclose(scored(truth, guess)["hausdorff"], theirs[0].numpy(), rtol=1e-5)


def test_by_hand():
    """A line of ten: truth 0000111111, prediction 0000001111. All pixels are surface, as the image is one pixel high.
    Class 1: from the prediction 0 0 0 0; from the truth 2 1 0 0 0 0.
    """
    truth, guess = np.array([[0] * 4 + [1] * 6]), np.array([[0] * 6 + [1] * 4])
    scores = scored(truth, guess, ClassSet(("a", "b")), tolerance=1)
    assert scores["hausdorff"][1] == 2
    assert scores["hd95"][1] == pytest.approx(np.percentile([2, 1, 0, 0, 0, 0], 95)) == pytest.approx(1.75)
    assert scores["average_surface_distance"][1] == pytest.approx(3 / 10)
    assert scores["surface_dice"][1] == pytest.approx(9 / 10)


def test_a_class_of_one_side_only_is_as_far_as_can_be():
    """MONAI gives inf; an average over images could not hold it."""
    truth, guess = np.zeros((2, 30, 40), int)
    truth[3:9, 3:9] = 1
    scores = scored(truth, guess, spacing=2.0)
    assert [scores[name][1] for name in ("hausdorff", "hd95", "average_surface_distance", "surface_dice")] == [100, 100, 100, 0]
    assert scores["images"].tolist() == [1, 1, 0]
    assert scores["one_sided"].tolist() == [0, 1, 0]
    assert np.isnan(scores["hausdorff"][2])
    assert scores["mean_hausdorff"] == pytest.approx(np.mean([scores["hausdorff"][0], 100]))


def test_means_are_over_the_images_that_hold_the_class():
    metric = Surface(THREE)
    for truth, guess in (([[0, 1, 1]], [[0, 0, 1]]), ([[0, 0, 0]], [[0, 0, 0]]), ([[1, 1, 1]], [[1, 1, 1]])):
        metric.update(Segments.from_semantic(np.array(truth), 3), Segments.from_semantic(np.array(guess), 3))
    assert metric.compute()["hausdorff"][:2].tolist() == [0.5, 0.5]
    assert metric.compute()["images"].tolist() == [2, 2, 0]


def test_a_surface_along_void_is_known_of_neither():
    """The truth ends somewhere in the void, columns 4 to 7; whatever is predicted there, no distance is added."""
    truth = np.array([[0, 0, 0, 0, -1, -1, -1, -1, 1, 1, 1, 1]] * 12)
    for ends in range(4, 9):
        guess = np.zeros((12, 12), int)
        guess[:, ends:] = 1
        assert scored(truth, guess)["mean_hausdorff"] == 0
    guess = np.zeros((12, 12), int)
    guess[:, 10:] = 1
    assert scored(truth, guess)["hausdorff"][1] == 2


@pytest.mark.parametrize("answer", [(23, 37, 33, 47), (21, 38, 31, 48), (20, 40, 30, 50)])
def test_an_object_ringed_by_void_is_right_wherever_in_the_void_it_ends(answer):
    scores = scored(ringed(), square(*answer))
    assert scores["hausdorff"][:2].tolist() == [0, 0]
    assert scores["surface_dice"][:2].tolist() == [1, 1]
    assert scores["one_sided"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "answer", [(24, 37, 33, 47), (24, 36, 34, 46), (19, 40, 30, 50), (19, 41, 29, 51)], ids=["in", "all in", "out", "all out"]
)
def test_a_row_too_few_or_too_many_at_a_ring_of_void_is_a_pixel_away(answer):
    scores = scored(ringed(), square(*answer), tolerance=1.5)
    assert max(scores["hausdorff"][:2]) <= np.sqrt(2)  # at corners
    assert scores["surface_dice"][:2].tolist() == [1, 1]
    assert scores["one_sided"].tolist() == [0, 0, 0]


def test_an_object_ringed_by_void_and_far_from_it():
    """The answer is the object 20 columns to the right."""
    scores = scored(ringed(), square(23, 37, 53, 67))
    assert scores["hausdorff"][1] == 20  # from the object's left column to the answer's
    assert scored(ringed(), square(0, 0, 0, 0))["hausdorff"][1] == 100  # the class is missed: the diagonal


def void_blobs(seed, size=(24, 30)):
    labels = blobs(seed, size, 4)
    labels = np.where(np.random.default_rng(seed).random(size) < 0.02, 3, labels)  # pieces of one pixel too
    return np.where(labels == 3, -1, labels), np.roll(np.where(labels == 3, (seed + 1) % 3, labels), 2, axis=1)


def test_distances_with_void_are_those_of_plain_loops():
    for seed in range(4):
        truth, guess = void_blobs(seed)
        scores = scored(truth, guess, tolerance=1.5)
        for k in range(3):
            if not all((labels[truth >= 0] == k).any() for labels in (truth, guess)):
                continue
            of_truth, of_guess, maybe = plain_outlines(truth, guess, k, frame=True)
            there, back = distances(of_guess, maybe), distances(of_truth, of_guess)
            both = np.concatenate([there, back])
            expected = max(np.percentile(there, 95), np.percentile(back, 95)), both.max(), both.mean(), (both <= 1.5).mean()
            found = [scores[name][k] for name in ("hd95", "hausdorff", "average_surface_distance", "surface_dice")]
            np.testing.assert_allclose(found, expected)


def test_a_class_that_both_hold_always_has_a_surface():
    """Maps of noise, small and full of void: never a diagonal, unless one side holds no known pixel of the class."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        truth, guess = rng.integers(-1, 3, (2, *rng.integers(1, 7, 2)))
        guess = np.where(guess < 0, 0, guess)
        metric = Surface(THREE)
        metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
        held = [[(labels[truth >= 0] == k).any() for k in range(3)] for labels in (truth, guess)]
        assert (metric.counts[0, :, 5] == np.logical_xor(*held)).all()
        assert (metric.counts[0, :, 4] == np.logical_or(*held)).all()


def test_void_in_a_volume():
    truth, guess = np.zeros((2, 12, 14, 16), int)
    truth[2:10, 2:12, 2:14] = -1
    truth[4:8, 4:10, 4:12] = 1
    guess[5:8, 4:10, 4:12] = 1
    scores = scored(truth, guess, spacing=(3.0, 1, 1), tolerance=3)
    assert scores["hausdorff"][:2].tolist() == [3, 3]
    assert scores["surface_dice"][:2].tolist() == [1, 1]


def test_the_table():
    """Road: 6 4 2 0 0 0 from the truth, 0 0 0 from the prediction; sky: 0 0 0 0 and 0 0 0 0 2 4 6, in units of the spacing."""
    truth, guess = np.array([[0] * 4 + [1] * 6]), np.array([[0] * 7 + [1] * 3])
    metric = Surface(ClassSet(("sky", "road", "car")), spacing=2)
    metric.update(Segments.from_semantic(truth, 3), Segments.from_semantic(guess, 3))
    assert str(metric.compute()) == (
        "surface: distances in the unit of the spacing, surface Dice 0..1 at tolerance 2; means over images\n"
        "mean_hd95                        5.45\n"
        "mean_hausdorff                   6.00\n"
        "mean_average_surface_distance    1.21\n"
        "mean_surface_dice              0.7980\n"
        "\n"
        "class    hd95  hausdorff  average surface distance  surface dice  images  one sided\n"
        "sky      5.40       6.00                      1.09        0.8182       1          0\n"
        "road     5.50       6.00                      1.33        0.7778       1          0\n"
        "\n"
        "nothing of: car"
    )


def test_options():
    for wrong in (0, "abc", [1, "x"], [], True, [[1, 2]]):
        with pytest.raises(OptionError, match="surface spacing: expected extents above 0, received "):
            Surface(THREE, spacing=wrong)
    for wrong in (-1, [1, 2], "far", np.nan):
        with pytest.raises(OptionError, match="surface tolerance: expected a distance from 0 on, received "):
            Surface(THREE, tolerance=wrong)
    assert Surface(THREE, spacing=np.array([1, 2])).options["spacing"] == Surface(THREE, spacing=[1, 2.0]).options["spacing"]
    with pytest.raises(InvalidNoun, match=r"image '': expected 3 axes, as the spacing has, received \(2, 2\)"):
        scored(np.zeros((2, 2), int), np.zeros((2, 2), int), spacing=(1, 1, 1))


def test_other_options_do_not_merge():
    with pytest.raises(InvalidNoun, match="merge: expected the options"):
        Surface(THREE).merge(Surface(THREE, tolerance=1))
