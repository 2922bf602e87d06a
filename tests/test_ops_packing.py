"""Packing: overlapping masks come back exactly, void beats them, resizing one map resizes them all."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core.errors import InvalidNoun
from intarsia.ops.packing import pack, window_of


@st.composite
def stacks(draw):
    """(N, *S) bool, in 2-D or 3-D, any overlap, empty masks and N = 0 among them."""
    shape = (draw(st.integers(0, 6)), *draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)))
    return draw(hnp.arrays(np.bool_, shape))


@given(stacks())
def test_overlapping_masks_come_back_exactly(masks):
    packed = pack(masks, np.arange(len(masks)))
    np.testing.assert_array_equal(packed.masks, masks)
    assert packed.classes.tolist() == list(range(len(masks)))
    assert not packed.void.any()


@given(stacks(), st.data())
def test_void_stays_and_masks_lose_exactly_its_pixels(masks, data):
    void = data.draw(hnp.arrays(np.bool_, masks.shape[1:]))
    packed = pack(masks, np.zeros(len(masks)), void=void)
    np.testing.assert_array_equal(packed.void, void)
    np.testing.assert_array_equal(packed.masks, masks & ~void)
    nothing = ~void & ~masks.any(axis=0)
    np.testing.assert_array_equal(packed.semantic(1) == 1, nothing)


@given(stacks(), st.data())
def test_resizing_the_ids_resizes_each_mask(masks, data):
    packed = pack(masks, np.zeros(len(masks)))
    index = np.ix_(*[data.draw(st.lists(st.integers(0, side - 1), min_size=1, max_size=9)) for side in masks.shape[1:]])
    resized = packed.with_ids(np.stack([layer[index] for layer in packed.ids]))  # nearest: each new pixel copies an old one
    np.testing.assert_array_equal(resized.masks, np.stack([mask[index] for mask in masks]) if len(masks) else resized.masks)
    assert len(resized) == len(masks)


def test_first_fit_by_hand():
    masks = np.zeros((4, 1, 6), bool)
    masks[0, 0, 0:3] = masks[1, 0, 2:5] = masks[2, 0, 3:6] = masks[3, 0, 0:1] = True
    assert pack(masks, [0, 0, 0, 0]).ids.tolist() == [[[1, 1, 1, 3, 3, 3]], [[4, 0, 2, 2, 2, 0]]]


def test_interleaved_masks_whose_boxes_overlap_share_a_layer():
    board = np.indices((6, 6)).sum(axis=0) % 2 == 0
    assert len(pack([board, ~board], [0, 1]).ids) == 1


def test_a_hundred_overlapping_ellipses_take_few_layers():
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:256, :256]
    centres, radii = rng.uniform(0, 256, (100, 2)), rng.uniform(6, 30, (100, 2))
    masks = np.stack([((yy - cy) / ry) ** 2 + ((xx - cx) / rx) ** 2 < 1 for (cy, cx), (ry, rx) in zip(centres, radii, strict=True)])
    packed = pack(masks, np.zeros(100))
    np.testing.assert_array_equal(packed.masks, masks)
    assert len(packed.ids) <= 8
    assert packed.ids.nbytes < masks.nbytes / 10


def test_what_is_given_is_stored():
    packed = pack(
        np.ones((1, 2, 2), bool), [3], scores=[0.5], crowd=[True], boxes=[[0.1, 0.2, 1.9, 1.8]], areas=[3.5], void=np.eye(2) > 0
    )
    assert (packed.scores.tolist(), packed.crowd.tolist(), packed.areas.tolist()) == ([0.5], [True], [3.5])
    np.testing.assert_allclose(packed.boxes, [[0.1, 0.2, 1.9, 1.8]])
    assert packed.mask(0).tolist() == [[False, True], [True, False]]


def test_more_than_128_rows_widen_the_ids():
    masks = np.eye(200, dtype=bool).reshape(200, 1, 200)
    packed = pack(masks, np.zeros(200))
    assert (packed.ids.dtype, packed.ids.max(), packed.ids.shape[0]) == (np.int16, 200, 1)


def test_above_32_layers_it_warns():
    with pytest.warns(UserWarning, match="33 masks overlap so much that they take 33 layers; leave out duplicates"):
        pack(np.ones((33, 2, 2), bool), np.zeros(33))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(pack(np.ones((32, 2, 2), bool), np.zeros(32)).ids) == 32


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"masks": np.ones((2, 2), bool)}, r"masks: expected bool of shape \(N, H, W\) or \(N, D, H, W\), received bool \(2, 2\)"),
        ({"masks": np.ones((1, 2, 2))}, r"received float64 \(1, 2, 2\)"),
        ({"classes": [0, 1]}, "masks: expected one class for each of 1, received 2 classes"),
        ({"void": np.zeros((3, 2), bool)}, r"void: expected the masks' size \(2, 2\), received \(3, 2\)"),
        ({"scores": [0.5, 0.5]}, r"Segments scores: expected shape \(1,\), received \(2,\)"),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(InvalidNoun, match=text):
        pack(**{"masks": np.ones((1, 2, 2), bool), "classes": [0]} | arguments)


def test_a_mask_of_other_bytes_than_one_has_its_window():
    mask = np.zeros((6, 7), np.uint8)
    mask[2:4, 3:5] = 255
    assert window_of(mask.view(np.bool_)) == window_of(mask) == (slice(2, 4), slice(3, 5))
    assert pack(mask.view(np.bool_)[None], [0]).areas.tolist() == [4]
