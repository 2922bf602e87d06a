"""Pixels: raw values to network input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import Pixels
from intarsia.core.errors import InvalidNoun


def test_the_default_is_imagenets_for_8_bit_rgb():
    """Pure white, by hand: (1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225."""
    white = np.full((1, 1, 3), 255, np.uint8)
    np.testing.assert_allclose(Pixels().normalised(white).ravel(), [2.248908, 2.428571, 2.64], rtol=1e-6)
    assert Pixels().normalised(white).dtype == np.float32
    assert Pixels().stats(white) is None


def test_per_image_percentiles_of_the_valid_pixels_by_channel():
    image = np.stack([np.arange(101), 1000 + 2 * np.arange(101)], axis=-1).astype(np.int16)[None]  # (1, 101, 2)
    pixels = Pixels("per_image", percentiles=(10, 90), mean=(0,), std=(1,))
    np.testing.assert_allclose(pixels.stats(image), [[10, 90], [1020, 1180]])
    half = np.arange(101)[None] <= 50
    np.testing.assert_allclose(pixels.stats(image, half), [[5, 45], [1010, 1090]])
    np.testing.assert_allclose(pixels.normalised(image)[0, [10, 90], 0], [0, 1])


def test_tiles_with_the_stats_of_the_whole_agree_with_the_whole():
    image = np.random.default_rng(0).integers(0, 60000, (8, 8, 1), dtype=np.uint16)
    pixels = Pixels("per_image", mean=(0.5,), std=(0.5,))
    stats = pixels.stats(image)
    np.testing.assert_array_equal(pixels.normalised(image)[:4], pixels.normalised(image[:4], stats))
    assert not np.array_equal(pixels.normalised(image)[:4], pixels.normalised(image[:4]))


@given(st.sampled_from([0.0, 0.3, 30000.0, -30000.0, 1e9]), st.sampled_from([np.float32, np.int32]))
def test_a_constant_image_stays_finite(value, dtype):
    pixels = Pixels("per_image", mean=(0.0,), std=(1.0,))
    image = np.full((3, 3, 2), value, dtype)
    assert (pixels.stats(image)[:, 1] > pixels.stats(image)[:, 0]).all()
    np.testing.assert_array_equal(pixels.normalised(image), 0)


def test_no_valid_pixel_leaves_values_as_they_are():
    image = np.ones((2, 2, 3), np.float32)
    assert Pixels("per_image").stats(image, np.zeros((2, 2), bool)).tolist() == [[0, 1]] * 3


@given(hnp.arrays(np.int16, (4, 5, 2), elements=st.integers(-3000, 3000)))
def test_normalising_keeps_the_order_of_values(image):
    flat = Pixels("per_image", mean=(0.2,), std=(0.7,)).normalised(image).reshape(-1, 2)
    for channel in range(2):
        order = np.argsort(image.reshape(-1, 2)[:, channel])
        assert (np.diff(flat[order, channel]) >= 0).all()


def test_for_channels_repeats_one_value_or_the_average():
    assert Pixels().for_channels(3) is not None
    assert Pixels(mean=(0.5,), std=(0.25,)).for_channels(4).mean == (0.5,) * 4
    five = Pixels(mean=(0.2, 0.4), std=(0.1, 0.3)).for_channels(5)
    np.testing.assert_allclose((five.mean, five.std), ([0.3] * 5, [0.2] * 5))


@given(
    st.builds(
        Pixels,
        kind=st.sampled_from(["fixed", "per_image"]),
        low=st.floats(-10, 0),
        high=st.floats(1, 100),
        mean=st.just([0.1, 0.2]),
        std=st.just([1, 2]),
    )
)
def test_json_gives_it_back(pixels):
    assert Pixels.from_dict(json.loads(json.dumps(pixels.to_dict()))) == pixels


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kind": "percentile"}, "Pixels kind: expected 'fixed' or 'per_image', received 'percentile'"),
        ({"low": 5, "high": 5}, "Pixels range: expected low < high, received low 5, high 5"),
        ({"mean": (0.5,)}, "Pixels: expected as many means as positive stds, received mean"),
        ({"std": (1, 1, 0)}, "as many means as positive stds"),
        ({"percentiles": (99, 1)}, r"Pixels percentiles: expected 0 <= low < high <= 100, received \(99.0, 1.0\)"),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(InvalidNoun, match=text):
        Pixels(**arguments)


def test_nodata_without_a_mask_does_not_spoil_the_percentiles():
    image = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10, 1)
    spoilt = image.copy()
    spoilt[0, 0] = np.nan
    pixels = Pixels(kind="per_image", mean=(0.0,), std=(1.0,), percentiles=(0, 100))
    assert np.allclose(pixels.stats(spoilt), [[image[0, 1, 0], 1.0]])
