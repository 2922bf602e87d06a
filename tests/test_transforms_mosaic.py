"""Mosaic: which picture is seen where, and which rows stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from intarsia.core import Sample, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.transforms.mosaic import Mosaic

SIZE = (12, 16)


def still(sample, rng, donor=None):
    return sample


def picture(grey, size=SIZE, layers=1, **options):
    """One colour; a left and a right half, and with two layers a third row over the whole."""
    ids = np.ones((layers, *size), np.int8)
    ids[0, ..., size[-1] // 2 :] = 2
    ids[1:] = 3
    return Sample(
        np.full((*size, 1), grey, np.uint8), Segments(ids, [grey, grey + 100, grey][: 1 + layers]), key=str(grey), **options
    )


def mixed(seed=0, sample=None, donors=(2, 3, 4), probability=1.0, **options):
    """A sample of grey 1 and donors of other greys, in their order."""
    others = iter([one if isinstance(one, Sample) else picture(one) for one in donors])
    mosaic = Mosaic(probability, **({"prepare": still} | options))
    return mosaic(picture(1) if sample is None else sample, np.random.default_rng(seed), lambda: next(others))


@pytest.mark.parametrize("seed", range(8))
def test_each_picture_has_a_corner_and_the_corners_meet_at_a_point(seed):
    grey = mixed(seed).image[..., 0]
    corners = grey[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert sorted(corners.tolist()) == [1, 2, 3, 4]
    row, column = int((grey[:, 0] == corners[0]).sum()), int((grey[0] == corners[0]).sum())
    expected = np.empty(SIZE, np.uint8)
    expected[:row, :column], expected[:row, column:], expected[row:, :column], expected[row:, column:] = corners
    assert np.array_equal(grey, expected)
    assert 3 <= row <= 9
    assert 4 <= column <= 12


def test_the_point_and_the_order_are_drawn():
    greys = [mixed(seed).image[..., 0] for seed in range(40)]
    assert {int(grey[0, 0]) for grey in greys} == {1, 2, 3, 4}
    assert len({int((grey[:, 0] == grey[0, 0]).sum()) for grey in greys}) > 4
    narrow = [mixed(seed, centre=(0.5, 0.5)).image[..., 0] for seed in range(5)]
    assert all((grey[:, 0] == grey[0, 0]).sum() == 6 and (grey[0] == grey[0, 0]).sum() == 8 for grey in narrow)


def test_ids_go_with_the_pixels_and_the_samples_rows_stay():
    for seed in range(20):
        moved = mixed(seed)
        segments, grey = moved.segments, moved.image[..., 0]
        assert segments.classes[:2].tolist() == [1, 101]
        assert np.array_equal(segments.semantic(300) % 100, grey)  # the class tells the grey
        left = np.arange(SIZE[1]) < SIZE[1] // 2
        assert np.array_equal(segments.semantic(300) < 100, np.broadcast_to(left, SIZE))
        assert (segments.areas[2:] > 0).all()  # of the donors those that are seen


def test_layers_are_joined():
    moved = mixed(2, sample=picture(1, layers=2), donors=(picture(2), picture(3, layers=3), picture(4)))
    segments, grey = moved.segments, moved.image[..., 0]
    assert len(segments.ids) == 3
    assert segments.classes[:3].tolist() == [1, 101, 1]
    assert np.array_equal(segments.ids[1] == 3, grey == 1)
    assert np.array_equal(segments.ids[2] > 0, grey == 3)


def test_void_validity_and_a_donor_without_truth():
    ids = np.full((1, *SIZE), -1, np.int8)
    hole = Sample(np.full((*SIZE, 1), 2, np.uint8), Segments(ids, []))
    bare = Sample(np.full((*SIZE, 1), 3, np.uint8))
    padded = picture(4, valid=np.zeros(SIZE, bool))
    moved = mixed(5, donors=(hole, bare, padded))
    grey = moved.image[..., 0]
    assert np.array_equal(moved.segments.void, (grey == 2) | (grey == 3))
    assert np.array_equal(moved.valid, grey != 4)
    assert mixed(5).valid is None
    assert len(mixed(5, donors=(Sample(hole.image, Segments.empty(SIZE)), picture(3), picture(4))).segments.void.nonzero()[0]) == 0


def test_donors_of_other_sizes_are_cut_and_kinds_refused():
    moved = Mosaic(1.0)(picture(1), np.random.default_rng(0), lambda: picture(2, size=(30, 9)))
    assert moved.image.shape == (*SIZE, 1)
    assert set(np.unique(moved.image)) <= {0, 1, 2}
    assert np.array_equal(moved.image[..., 0] == 0, moved.segments.void)  # around a donor that was made small
    with pytest.raises(InvalidNoun, match=r"Mosaic donor '2': expected an image of the sample's kind, uint8 \(12, 16, 1\)"):
        mixed(donors=(replace(picture(2), image=np.zeros((*SIZE, 3), np.uint8)),))
    with pytest.raises(OptionError, match="Mosaic donor: expected a function"):
        Mosaic(1.0)(picture(1), np.random.default_rng(0))


def test_probability_and_a_sample_without_truth():
    sample = picture(1)
    assert mixed(probability=0.0, sample=sample) is sample
    assert 60 < sum(mixed(seed, probability=0.4, sample=sample) is not sample for seed in range(200)) < 100
    bare = replace(sample, segments=None)
    assert mixed(sample=bare) is bare


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"probability": -0.1}, "Mosaic probability: expected a number from 0 to 1, received -0.1"),
        ({"centre": (0.7, 0.3)}, r"Mosaic centre: expected \(low, high\) with 0 < low <= high"),
        ({"centre": (0.5, 1.5)}, "Mosaic centre: expected a number from 0 to 1, received 1.5"),
    ],
)
def test_refusals(options, text):
    with pytest.raises(OptionError, match=text):
        Mosaic(**options)


def test_a_volume_is_joined_in_its_planes():
    size = (2, 12, 16)
    moved = mixed(sample=picture(1, size), donors=[picture(grey, size) for grey in (2, 3, 4)])
    grey = moved.image[..., 0]
    assert np.array_equal(grey[0], grey[1])
    assert sorted(grey[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist()) == [1, 2, 3, 4]
    assert np.array_equal(moved.segments.semantic(300) % 100, grey)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2)])
def test_tiny_pictures(size):
    moved = mixed(sample=picture(1, size), donors=[picture(grey, size) for grey in (2, 3, 4)])
    assert moved.image.shape == (*size, 1)
    assert (moved.image > 0).all()
