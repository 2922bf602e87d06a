"""Calibration against torchmetrics and scikit-learn, and a table worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_calibration_error

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.metrics.calibration import Calibration

TWO = ClassSet(("sky", "road"))


def answers(seed, size=(40, 50)):
    """Truth, answer and confidence in float16; the network is too sure of itself. A twentieth of the truth is void."""
    rng = np.random.default_rng(seed)
    sure = (0.502 + rng.random(size) * 0.495).astype(np.float16)  # at 0.5 either class is the likelier
    guess = rng.integers(0, 2, size)
    truth = np.where(rng.random(size) < sure.astype(float) ** 2, guess, 1 - guess)
    return np.where(rng.random(size) < 0.05, -1, truth), guess, sure


def counted(pairs, **options):
    metric = Calibration(TWO, **options)
    for truth, guess, sure in pairs:
        answer = Segments.from_semantic(guess, 2)
        metric.update(Segments.from_semantic(truth, 2), Segments(answer.ids, answer.classes, confidence=sure))
    return metric.compute()


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_parity_with_torchmetrics(bins):
    pairs = [answers(seed) for seed in range(3)]
    scores = counted(pairs, bins=bins)
    truth, guess, sure = (np.concatenate([pair[part].ravel() for pair in pairs]) for part in range(3))
    chances = np.where(np.arange(2) == guess[:, None], sure[:, None].astype(float), 1 - sure[:, None].astype(float))
    for norm, name in (("l1", "expected_calibration_error"), ("max", "maximum_calibration_error")):
        theirs = multiclass_calibration_error(
            torch.from_numpy(chances[truth >= 0]), torch.from_numpy(truth[truth >= 0]), num_classes=2, n_bins=bins, norm=norm
        )
        assert scores[name] == pytest.approx(float(theirs), abs=1e-6)
    right = (truth == guess)[truth >= 0]
    assert scores["overconfidence"] == pytest.approx(sure[truth >= 0].astype(float).mean() - right.mean())
    assert scores["top_label_brier"] == pytest.approx(((sure[truth >= 0].astype(float) - right) ** 2).mean())


def test_parity_of_the_diagram_with_scikit_learn():
    truth, guess, sure = answers(1)
    scores = counted([(truth, guess, sure)], bins=11)  # 12 would have an edge at 0.75, which scikit-learn gives to the bin below
    known = truth >= 0
    accuracy, confidence = calibration_curve((truth == guess)[known], sure[known].astype(float), n_bins=11)
    full = scores.bins[scores.bins[:, 0] > 0]
    np.testing.assert_allclose(full[:, 1], accuracy)
    np.testing.assert_allclose(full[:, 2], confidence)
    assert scores.bins[:, 0].sum() == known.sum()


def test_by_hand():
    """Two bins. Below a half: one pixel at 0.25, wrong. From there on: three at 0.75, 0.75, 1.0, of which the first is wrong."""
    scores = counted([(np.array([[0, 0, 1, 1, -1]]), np.array([[1, 1, 1, 1, 1]]), [[0.25, 0.75, 0.75, 1.0, 1.0]])], bins=2)
    low, high = 0.25 - 0, 2.5 / 3 - 2 / 3
    assert scores["expected_calibration_error"] == pytest.approx(1 / 4 * low + 3 / 4 * high)
    assert scores["maximum_calibration_error"] == pytest.approx(low)
    assert scores["overconfidence"] == pytest.approx(2.75 / 4 - 2 / 4)
    assert scores["top_label_brier"] == pytest.approx((0.25**2 + 0.75**2 + 0.25**2 + 0) / 4)
    assert scores.to_dict()["bins"] == [
        {"pixels": 1, "accuracy": 0.0, "confidence": 0.25},
        {"pixels": 3, "accuracy": pytest.approx(2 / 3), "confidence": pytest.approx(2.5 / 3)},
    ]


def test_an_edge_between_bins_belongs_to_the_upper():
    scores = counted([(np.array([[0, 0, 0]]), np.array([[0, 0, 0]]), [[0.0, 0.5, 1.0]])], bins=2)
    assert scores.bins[:, 0].tolist() == [1, 2]


def test_an_answer_without_confidence_is_certain():
    truth, guess, _ = answers(2)
    metric = Calibration(TWO)
    metric.update(Segments.from_semantic(truth, 2), Segments.from_semantic(guess, 2))
    wrong = (truth != guess)[truth >= 0].mean()
    assert metric.compute()["expected_calibration_error"] == pytest.approx(wrong)
    assert metric.compute()["overconfidence"] == pytest.approx(wrong)


def test_with_groups_an_answer_is_right_if_it_is_for_each():
    nested = ClassSet(("whole", "core"), groups=(("whole",), ("core",)), nothing=True)
    truth = Segments([[[1, 1, 0, 0]], [[2, 0, 0, 0]]], [0, 1])
    guess = Segments([[[1, 1, 1, 0]], [[0, 0, 0, 0]]], [0, 1])
    metric = Calibration(nested)
    metric.update(truth, guess)
    assert metric.compute()["expected_calibration_error"] == 0.5


def test_errors():
    for bins in (0, 2.5, "many", np.inf):
        with pytest.raises(OptionError, match=f"calibration bins: expected a whole number from 1 on, received {bins}"):
            Calibration(TWO, bins=bins)
    for wrong in (1.5, -0.1, np.nan):
        with pytest.raises(InvalidNoun, match="prediction '' confidence: expected values 0..1"):
            counted([(np.array([[0, 0]]), np.array([[0, 0]]), [[0.5, wrong]])])
