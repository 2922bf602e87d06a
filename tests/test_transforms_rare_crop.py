"""Crops around rare classes: what they show more of, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from intarsia.core import Sample, Segments
from intarsia.core.errors import OptionError
from intarsia.transforms import Compose, training
from intarsia.transforms._windows import drawn_offset
from intarsia.transforms.flip import Flip
from intarsia.transforms.rare_crop import RareCrop
from intarsia.transforms.rotation import Rotation


def speck(place=(70, 20), size=(96, 128), radius=2):
    """Class 0 everywhere, class 1 on a few pixels, class 2 on the right half."""
    labels = np.zeros(size, int)
    labels[:, size[1] // 2 :] = 2
    row, column = place
    labels[row - radius : row + radius + 1, column - radius : column + radius + 1] = 1
    return Sample(np.zeros((*size, 3), np.uint8), Segments.from_semantic(labels, 3), "a")


def seen(transform, sample, count=60):
    """How many of the crops show class 1."""
    crops = (transform(sample, np.random.default_rng(seed)) for seed in range(count))
    return sum((crop.segments.semantic(3) == 1).any() for crop in crops)


def test_a_drawn_pixel_is_seen_whatever_scale_rotation_and_flip_follow():
    chances = (0.0, 1.0, 0.0)
    for place in ((70, 20), (3, 3), (90, 60)):
        turned = training((32, 32), scale=(0.75, 2.0), flip=0.5, rotation=45.0, colour=0.2, rare=1.0, chances=chances)
        plain = training((32, 32), scale=(0.75, 2.0), flip=0.5, rotation=45.0, colour=0.2)
        corner = place == (3, 3)  # a pixel in the picture's corner stays in the window's, which a rotation cuts off
        assert seen(turned, speck(place)) >= (30 if corner else 60)
        assert seen(plain, speck(place)) < 30


def test_it_goes_by_the_place_after_what_stands_before():
    steps = Compose((Flip(1.0, 1.0), RareCrop((16, 16), (1.0, 1.0), probability=1.0, chances=(0, 1, 0))))
    assert seen(steps, speck()) == 60
    turned = Compose((Rotation(30.0), RareCrop((16, 16), (1.0, 1.0), probability=1.0, chances=(0, 1, 0))))
    assert seen(turned, speck((48, 40))) == 60


def test_classes_are_drawn_by_their_chances():
    sample = speck()
    ask = RareCrop((8, 8), (1.0, 1.0), probability=1.0, chances=(3.0, 0.0, 1.0))
    drawn = [sample.segments.semantic(3)[tuple(ask._pixel(sample.segments, np.random.default_rng(seed)))] for seed in range(400)]
    assert set(drawn) == {0, 2}
    assert drawn.count(0) == pytest.approx(300, abs=35)
    by_area = RareCrop((8, 8), (1.0, 1.0), probability=1.0)
    drawn = [
        sample.segments.semantic(3)[tuple(by_area._pixel(sample.segments, np.random.default_rng(seed)))] for seed in range(400)
    ]
    assert drawn.count(1) > 390  # 25 pixels beside 6000


def test_without_truth_or_without_such_a_class_it_is_the_plain_crop():
    ask = RareCrop((8, 8), probability=1.0, chances=(0.0, 0.0, 0.0))
    sample = speck()
    assert ask(sample, np.random.default_rng(0)).image.shape == (8, 8, 3)
    assert ask(Sample(sample.image), np.random.default_rng(0)).segments is None
    empty = Segments(np.zeros((1, 20, 20), int), [0, 1])  # rows without pixels
    assert (
        RareCrop((8, 8), probability=1.0)(Sample(np.zeros((20, 20, 1), np.uint8), empty), np.random.default_rng(0)).image.any() == 0
    )


def test_several_segments_of_a_class_all_have_a_chance():
    ids = np.zeros((2, 40, 40), int)
    ids[0, 2, 2], ids[1, 35, 35] = 1, 2
    sample = Sample(np.zeros((40, 40, 1), np.uint8), Segments(ids, [1, 1]))
    ask = RareCrop((8, 8), (1.0, 1.0), probability=1.0)
    places = {tuple(ask._pixel(sample.segments, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert places == {(2, 2), (35, 35)}


def test_the_middle_half_and_the_edges():
    for seed in range(200):
        start = drawn_offset(100, 20, np.random.default_rng(seed), near=50.5)
        assert 50.5 - 15.5 <= start <= 50.5 - 4.5
        assert drawn_offset(100, 20, np.random.default_rng(seed), near=2.0) == 0
        assert drawn_offset(100, 20, np.random.default_rng(seed), near=99.0) == 80
        assert -20 <= drawn_offset(100, 120, np.random.default_rng(seed), near=50.0) <= 0


def test_wrong_chances_are_told():
    with pytest.raises(OptionError, match="RareCrop chances: expected numbers of at least 0, received"):
        RareCrop((8, 8), chances=(1.0, -1.0))
