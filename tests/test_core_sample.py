"""Sample: what belongs together has one size; counts by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import InvalidNoun

STREET = ClassSet(("road", "car", "bus"), things=("car", "bus"))


def test_size_is_that_of_the_file_and_filled_in_when_left_out():
    image = np.zeros((4, 6, 3), np.uint8)
    assert Sample(image).size == (4, 6)
    assert Sample(image, size=(400, 600)).size == (400, 600)
    assert Sample(np.zeros((2, 4, 6, 1), np.int16)).size == (2, 4, 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_any_depth_and_number_of_channels(dtype, channels):
    sample = Sample(np.zeros((2, 3, channels), dtype), Segments.empty((2, 3)), key="a", stats=np.zeros((channels, 2)))
    again = pickle.loads(pickle.dumps(sample))
    assert again.image.dtype == dtype
    assert again.segments == sample.segments


def test_counts_by_name():
    """Three cars of which one has no pixel, road on two pixels, one void, one nothing."""
    segments = Segments([[[1, 1, 2, 3, -1, 0]]], [0, 1, 1, 1])
    sample = Sample(np.zeros((1, 6, 3), np.uint8), segments, classes=STREET)
    assert sample.pixels() == {"road": 2, "car": 2, "bus": 0}
    assert sample.count() == {"road": 1, "car": 2}


IMAGE = np.zeros((2, 3, 1), np.uint8)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Sample(IMAGE[0], key="a"), r"Sample 'a' image: expected numbers of shape \(H, W, C\) .*, received uint8 \(3, 1\)"),
        (lambda: Sample(IMAGE > 0), r"received bool \(2, 3, 1\)"),
        (
            lambda: Sample(IMAGE, Segments.empty((3, 2)), key="a"),
            r"Sample 'a' segments: expected the image's size \(2, 3\), received \(3, 2\)",
        ),
        (lambda: Sample(IMAGE, valid=np.ones((2, 2), bool)), r"valid: expected the image's size \(2, 3\), received \(2, 2\)"),
        (lambda: Sample(IMAGE, stats=np.ones((3, 2))), r"stats: expected shape \(1, 2\), received \(3, 2\)"),
        (
            lambda: Sample(IMAGE, key="a", spacing=(1.0, 1.0, 3.0)),
            r"Sample 'a' spacing: expected 2 numbers, one for each axis of \(2, 3\), received \(1\.0, 1\.0, 3\.0\)",
        ),
        (lambda: Sample(IMAGE, size=(2, 3, 1)), r"size: expected 2 numbers, .* received \(2, 3, 1\)"),
        (lambda: Sample(IMAGE, classes=STREET).pixels(), "expected segments and classes to draw, received no segments"),
        (lambda: Sample(IMAGE, Segments.empty((2, 3))).count(), "received no classes"),
    ],
)
def test_errors(build, text):
    with pytest.raises(InvalidNoun, match=text):
        build()
