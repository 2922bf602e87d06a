"""Normalise against its numpy twin, Pixels.normalised."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.core import Pixels
from intarsia.models.blocks.normalise import Normalise

DTYPES = (np.uint8, np.uint16, np.int16, np.float32)


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    channels=st.integers(1, 6),
    kind=st.sampled_from(("fixed", "per_image")),
    low=st.integers(-1000, 1000),
    extent=st.integers(1, 65535),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_pixels_normalised(dtype: type, channels: int, kind: str, low: int, extent: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    span = (-500.0, 500.0) if dtype is np.float32 else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    image = rng.uniform(*span, size=(5, 7, channels)).astype(dtype)
    pixels = Pixels(kind, low, low + extent, rng.uniform(0, 1, channels), rng.uniform(0.1, 1, channels))
    stats = pixels.stats(image)

    ours = Normalise(pixels, channels)(
        torch.from_numpy(image).permute(2, 0, 1)[None],  # (H, W, C) -> (1, C, H, W)
        stats=None if stats is None else torch.from_numpy(stats)[None],
    )
    expected = pixels.normalised(image, stats)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours[0].permute(1, 2, 0), expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


def test_sixteen_bits_in_a_narrow_range_keep_their_precision() -> None:
    values = torch.tensor([40000, 40001, 40010], dtype=torch.uint16).view(1, 1, 1, 3)
    ours = Normalise(Pixels(low=40000, high=40010, mean=(0.5,), std=(0.25,)), 1)(values)
    torch.testing.assert_close(ours.flatten(), torch.tensor([-2.0, -1.6, 2.0]), rtol=0, atol=1e-6)


def test_each_image_has_its_own_stats() -> None:
    images = torch.tensor([[10, 20], [100, 300]], dtype=torch.int16).view(2, 1, 1, 2)
    stats = torch.tensor([[[10.0, 20.0]], [[100.0, 300.0]]])  # (B, C, 2)
    ours = Normalise(Pixels("per_image", mean=(0.5,), std=(0.5,)), 1)(images, stats=stats)
    assert ours.flatten().tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 4, 5)])
def test_invalid_becomes_zero_even_where_it_is_nan(shape: tuple[int, ...]) -> None:
    images = torch.full(shape, torch.nan)
    assert Normalise(Pixels(), 3)(images, torch.zeros(shape[0], *shape[2:], dtype=torch.bool)).eq(0).all()


def test_memory_format_stays() -> None:
    images = torch.zeros(2, 4, 5, 3, dtype=torch.uint8).permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
    assert Normalise(Pixels(), 3)(images).is_contiguous(memory_format=torch.channels_last)


def test_numbers_travel_with_the_weights() -> None:
    assert sorted(Normalise(Pixels(), 3).state_dict()) == ["high", "low", "mean", "std"]
