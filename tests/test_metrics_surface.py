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
        "car      -          -                         -             -          0          0"
    )


def test_options():
    with pytest.raises(OptionError, match=r"surface spacing: expected extents above 0, received \[0.0\]"):
        Surface(THREE, spacing=0)
    with pytest.raises(OptionError, match="surface tolerance: expected a distance from 0 on, received -1"):
        Surface(THREE, tolerance=-1)
    with pytest.raises(InvalidNoun, match=r"image '': expected 3 axes, as the spacing has, received \(2, 2\)"):
        scored(np.zeros((2, 2), int), np.zeros((2, 2), int), spacing=(1, 1, 1))


def test_other_options_do_not_merge():
    with pytest.raises(InvalidNoun, match="merge: expected the options"):
        Surface(THREE).merge(Surface(THREE, tolerance=1))
