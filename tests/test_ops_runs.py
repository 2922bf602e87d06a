"""Runs and the joint histogram, against the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core.errors import IntarsiaError
from intarsia.ops import runs as module
from intarsia.ops.runs import joint_counts, joint_histogram, runs, unruns

DTYPES = st.sampled_from([np.bool_, np.uint8, np.int8, np.int16, np.int32, np.uint16, np.float32])
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=9)


@given(hnp.arrays(DTYPES, SHAPES, elements=st.integers(0, 1)))
def test_unruns_gives_back_what_runs_was_given(labels):
    values, lengths = runs(labels)
    back = unruns(values, lengths, labels.shape, labels.dtype)
    assert back.dtype == labels.dtype
    np.testing.assert_array_equal(back, labels)
    assert (lengths > 0).all()
    assert (values[1:] != values[:-1]).all()


def test_runs_of_a_transposed_map_are_read_in_c_order():
    labels = np.array([[1, 1], [2, 3]]).T
    assert runs(labels)[0].tolist() == [1, 2, 1, 3]


def test_one_constant_map_is_one_run():
    values, lengths = runs(np.full((40, 50), 3, np.int16))
    assert (values.tolist(), lengths.tolist(), lengths.dtype) == ([3], [2000], np.int32)


def test_lengths_that_do_not_fit_the_shape():
    with pytest.raises(IntarsiaError, match=r"runs: expected lengths that add up to \(2, 3\), 6 pixels, received 5"):
        unruns(np.array([1]), np.array([5]), (2, 3))


def plain(a, b, rows_a, rows_b):
    table = np.zeros((rows_a, rows_b), np.int64)
    np.add.at(table, (a.ravel().astype(int), b.ravel().astype(int)), 1)
    return table


IDS = st.sampled_from([np.int8, np.int16, np.int32, np.uint8, np.uint16])


@given(
    hnp.arrays(np.uint32, st.just((2, 6, 7)), elements=st.sampled_from([0, 1, 9, 70000, 2**32 - 1])), st.sampled_from([1, 8, 10**9])
)
def test_joint_counts_are_those_of_unique(maps, shortest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHORTEST", shortest)
        pairs, pixels = joint_counts(*maps)
    expected = np.unique(maps.reshape(2, -1).T.astype(np.int64), axis=0, return_counts=True)
    np.testing.assert_array_equal(pairs, expected[0])
    np.testing.assert_array_equal(pixels, expected[1])


def test_joint_counts_of_nothing_and_of_numbers_below_0():
    pairs, pixels = joint_counts(np.zeros((0, 4), np.int32), np.zeros((0, 4), np.int32))
    assert (pairs.shape, pixels.shape) == ((0, 2), (0,))
    with pytest.raises(IntarsiaError, match=r"map: expected numbers 0..4294967295, received -1..3"):
        joint_counts(np.array([-1]), np.array([3]))


@given(st.data(), IDS, IDS, st.sampled_from([1, 8, 10**9]))
def test_joint_histogram_is_what_add_at_counts(data, dtype_a, dtype_b, shortest):
    shape = data.draw(SHAPES)

    def side(dtype):
        rows = data.draw(st.integers(2, 300 if np.dtype(dtype).itemsize > 1 else 120))
        low = -1 if np.dtype(dtype).kind == "i" else 0
        return data.draw(hnp.arrays(dtype, shape, elements=st.integers(low, rows - 1 + low))), rows

    (a, rows_a), (b, rows_b) = side(dtype_a), side(dtype_b)
    chunk, kept = module.CHUNK, module.SHORTEST
    module.CHUNK, module.SHORTEST = 7, shortest  # many chunks; always runs, as shipped, always pixels
    try:
        table = joint_histogram(a, b, rows_a, rows_b)
    finally:
        module.CHUNK, module.SHORTEST = chunk, kept
    assert table.dtype == np.int64
    np.testing.assert_array_equal(table, plain(a, b, rows_a, rows_b))


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_clean_and_noisy_maps_of_many_chunks(noise):
    rng = np.random.default_rng(0)
    truth = np.repeat(np.repeat(rng.integers(-1, 19, (16, 16)), 64, 0), 64, 1).astype(np.int8)
    guess = np.roll(truth, 5, axis=1)
    salt = rng.random(guess.shape) < noise
    guess[salt] = rng.integers(-1, 19, salt.sum())
    np.testing.assert_array_equal(joint_histogram(truth, guess, 20, 20), plain(truth, guess, 20, 20))


def test_uint8_maps_that_call_void_255():
    truth, guess = np.array([0, 18, 255, 255], np.uint8), np.array([0, 1, 1, 255], np.uint8)
    table = joint_histogram(truth.view(np.int8), guess.view(np.int8), 20, 20)
    assert (table[0, 0], table[18, 1], table[-1, 1], table[-1, -1], table.sum()) == (1, 1, 1, 1, 4)
    np.testing.assert_array_equal(joint_histogram(truth, guess, 256, 256), plain(truth, guess, 256, 256))


@pytest.mark.parametrize(
    ("a", "text"),
    [
        (np.array([0, 5], np.int8), "ids -1..4, received 0..5"),
        (np.array([0, -2], np.int16), "ids -1..4, received -2..0"),
        (np.array([0, 6], np.uint8), "ids 0..5, received 0..6"),
        (np.array([0.0, 1.0]), "integers, received float64"),
    ],
)
def test_ids_out_of_range(a, text):
    for pair in ((a, np.zeros(2, np.int8)), (np.zeros(2, np.int8), a)):
        with pytest.raises(IntarsiaError, match=text):
            joint_histogram(*pair, 6, 6)


def test_shapes_that_differ():
    with pytest.raises(IntarsiaError, match=r"two label maps: expected one shape, received \(2, 3\) and \(3, 2\)"):
        joint_histogram(np.zeros((2, 3), np.int8), np.zeros((3, 2), np.int8), 3, 3)
