"""Semantic decoding in detail, and the two wrappers."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch

from intarsia.core import ClassSet, Dense, Queries, Regions, Scorer
from intarsia.core.errors import InvalidNoun
from intarsia.decode import decoded, flipped
from intarsia.decode.semantic import semantic

FOUR = ClassSet(("a", "b", "c", "d"))
THREE, TWO, ONE = (ClassSet(FOUR.names[:count]) for count in (3, 2, 1))


def logits(channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, channels, 6, 7)).astype(np.float32)  # (B, C, h, w)


@pytest.mark.parametrize("align_corners", [False, True])
def test_coarse_grids_equal_interpolate_then_argmax(align_corners):
    sizes = [(24, 28), (17, 31)]
    answers = semantic(Dense(logits(), align_corners=align_corners), sizes, THREE)
    for scores, size, answer in zip(logits(), sizes, answers, strict=True):
        values = torch.nn.functional.interpolate(torch.from_numpy(scores)[None], size, mode="bilinear", align_corners=align_corners)
        np.testing.assert_array_equal(answer.semantic(3), values.argmax(1)[0].numpy())


def test_rows_are_the_classes_present_with_score_1():
    scores = np.zeros((1, 4, 1, 3), np.float32)
    scores[0, 3, 0, 0] = scores[0, 1, 0, 1] = scores[0, 1, 0, 2] = 1
    [answer] = semantic(Dense(scores), [(1, 3)], FOUR)
    assert answer.classes.tolist() == [1, 3]
    assert answer.ids.tolist() == [[[2, 1, 1]]]
    assert answer.scores.tolist() == [1, 1]


def test_the_last_channel_of_one_too_many_is_nothing():
    scores = np.array([[[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]]]])  # (1, 2 classes + nothing, 1, 3)
    [answer] = semantic(Dense(scores), [(1, 3)], TWO)
    assert answer.ids.tolist() == [[[1, 0, 2]]]
    assert answer.classes.tolist() == [0, 1]


def test_confidence_is_averaged_over_each_row_and_not_over_nothing():
    scores = np.log(np.array([[[[0.8, 0.6, 0.2]], [[0.2, 0.4, 0.8]]]]))  # (1, 1 class + nothing, 1, 3)
    [answer] = semantic(Dense(scores), [(1, 3)], ONE, confidence=True)
    assert answer.ids.tolist() == [[[1, 1, 0]]]
    np.testing.assert_allclose(answer.confidence, [[0.8, 0.6, 0.8]], atol=1e-3)
    np.testing.assert_allclose(answer.scores, [0.7], atol=1e-3)


@pytest.mark.parametrize(
    ("output", "sizes", "text"),
    [
        (Regions(), [(6, 7)], "semantic decode: expected an output that answers for each pixel, received Regions"),
        (Dense(np.zeros((1, 5, 6, 7))), [(6, 7)], r"\(B, 3, \*s\), or \(B, 4, \*s\) with nothing last, received \(1, 5, 6, 7\)"),
        (Dense(np.zeros((2, 3, 6, 7))), [(6, 7)], "sizes: expected one for each of 2 images, received 1"),
        (Dense(torch.zeros(1, 3, 6, 7, requires_grad=True)), [(6, 7)], r"Call \.detach\(\)\.float\(\)\.cpu\(\) on it first"),
        (Dense(torch.zeros(1, 3, 6, 7, dtype=torch.bfloat16)), [(6, 7)], r"Call \.detach\(\)\.float\(\)\.cpu\(\) on it first"),
    ],
)
def test_what_it_cannot_decode_it_says(output, sizes, text):
    with pytest.raises(InvalidNoun, match=text):
        semantic(output, sizes, THREE)


class Uneven:
    """A scorer that answers class 0 left of the bright column and 1 from there on, plus a bias towards the left edge."""

    def __call__(self, image, /, *, stats=None):
        bright = image[..., 0].astype(np.float32)  # (H, W)
        bias = np.linspace(1, 0, bright.shape[1], dtype=np.float32)
        return Dense(np.stack([bias + 0 * bright, bright])[None], centre=bright[None, None], align_corners=True)


def test_decoded_predicts_at_the_size_of_the_image():
    image = np.zeros((4, 5, 3), np.uint8)
    image[:, 2] = 9
    predict = decoded(Uneven(), TWO)
    assert predict(image).semantic(2).tolist() == [[0, 0, 1, 0, 0]] * 4
    assert predict(image).confidence is None
    assert decoded(Uneven(), TWO, confidence=True)(image).confidence is not None


def test_decoded_takes_any_decoder_and_survives_pickling():
    predict = pickle.loads(pickle.dumps(decoded(flipped(Uneven()), TWO, decode=semantic)))
    assert predict(np.zeros((4, 5, 3), np.uint8)).size == (4, 5)


def test_flipped_averages_out_what_prefers_a_side():
    image = np.zeros((1, 5, 1), np.uint8)
    both = flipped(Uneven())(image, stats=None)
    np.testing.assert_allclose(both.logits[0, 0, 0], [0.5] * 5)
    assert both.align_corners


def test_flipped_mirrors_the_answer_back():
    image = np.zeros((2, 5, 1), np.uint8)
    image[:, 1] = 7
    np.testing.assert_allclose(flipped(Uneven())(image).logits[0, 1], [[0, 7, 0, 0, 0]] * 2)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("width", [5, 6, 9])
def test_flipped_is_the_mean_over_both_for_odd_widths_too(width, stride):
    """Of a scorer that averages areas, so that its grid spans the image whatever the width."""

    def shrunk(image, /, *, stats=None):
        grid = cv2.resize(image.astype(np.float32), (-(-width // stride), 4), interpolation=cv2.INTER_AREA)
        grid = grid[..., None] if grid.ndim == 2 else grid  # cv2 drops a single channel
        return Dense(np.moveaxis(grid + np.float32(stats[0, 0]), -1, 0)[None])  # (1, C, *s)

    image = np.random.default_rng(width).integers(0, 256, (4, width, 1), np.uint8)
    stats = np.float32([[3, 9]])
    both = flipped(shrunk)(image, stats=stats)
    np.testing.assert_allclose(both.logits, shrunk(image, stats=stats).logits, rtol=1e-5)
    columns = np.arange(width, dtype=np.float32)[None, None, None]  # (1, 1, 1, W)
    leaning = flipped(lambda image, stats=None: Dense(columns))
    np.testing.assert_allclose(leaning(image).logits, (width - 1) / 2)


def test_flipped_is_a_scorer_of_a_scorer():
    """As core/protocols.py has it: image by position, stats by name; so it goes twice as well."""
    steady: Scorer = flipped(flipped(Uneven()))
    image = np.zeros((1, 5, 1), np.uint8)
    np.testing.assert_allclose(steady(image, stats=None).logits, flipped(Uneven())(image).logits)


def test_flipped_needs_dense():
    with pytest.raises(InvalidNoun, match="flipped: expected a scorer of Dense outputs, received Queries"):
        flipped(lambda image, stats=None: Queries(None, None, None))(np.zeros((2, 2, 1), np.uint8))
