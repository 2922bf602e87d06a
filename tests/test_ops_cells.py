"""The arg-max by cells against torch's interpolate and argmax, at any size, scale and corner convention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.core.errors import InvalidNoun
from intarsia.ops import cells
from intarsia.ops.cells import argmax_and_confidence, argmax_upsampled

LENGTHS = st.integers(1, 24)
MODES = {2: "bilinear", 3: "trilinear"}


def upsampled(logits: np.ndarray, size: tuple[int, ...], align_corners: bool = False) -> np.ndarray:
    """The reference (C, *S), in float64 so that it shares no rounding with ours."""
    batch = torch.from_numpy(logits).double()[None]
    return torch.nn.functional.interpolate(batch, size, mode=MODES[len(size)], align_corners=align_corners)[0].numpy()


def assert_argmax(labels: np.ndarray, values: np.ndarray) -> None:
    """Equal wherever the two best differ by more than float32 can blur; elsewhere one of the best."""
    best = values.max(axis=0)
    answer = np.take_along_axis(values, labels[None].astype(np.int64), axis=0)[0]
    assert np.all(best - answer <= 1e-5)
    clear = np.ones(labels.shape, bool) if len(values) == 1 else np.diff(np.sort(values, axis=0)[-2:], axis=0)[0] > 1e-5
    np.testing.assert_array_equal(labels[clear], values.argmax(axis=0)[clear])


def blobs(rng: np.random.Generator, shape: tuple[int, ...], steps: int) -> np.ndarray:
    """Logits (C, *s) that agree over `steps` samples, as those of a trained network do; 1 is noise."""
    coarse = rng.normal(size=(shape[0], *(-(-length // steps) for length in shape[1:])))
    for axis, length in enumerate(shape[1:], start=1):
        coarse = coarse.repeat(steps, axis=axis).take(range(length), axis=axis)
    return (coarse + rng.normal(scale=0.01, size=shape)).astype(np.float32)


@settings(max_examples=300, deadline=None)
@given(
    classes=st.integers(1, 9),
    grid=st.tuples(LENGTHS, LENGTHS),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    align_corners=st.booleans(),
    steps=st.sampled_from([1, 4, 12]),
    block=st.sampled_from([7, 100, 1 << 15]),
    seed=st.integers(0, 1000),
)
def test_equals_interpolate_then_argmax(classes, grid, size, align_corners, steps, block, seed):
    logits = blobs(np.random.default_rng(seed), (classes, *grid), steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "BLOCK", block)
        labels = argmax_upsampled(logits, size, align_corners=align_corners)
    assert labels.shape == size
    assert labels.dtype == np.int8
    assert_argmax(labels, upsampled(logits, size, align_corners))


@settings(max_examples=100, deadline=None)
@given(
    grid=st.tuples(LENGTHS, LENGTHS),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    align_corners=st.booleans(),
    steps=st.sampled_from([1, 6]),
)
def test_both_ways_agree_to_the_last_tie(grid, size, align_corners, steps):
    logits = blobs(np.random.default_rng(0), (3, *grid), steps)
    checked = cells._checked(logits, size, align_corners)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "MIXED_LIMIT", float("inf"))
        np.testing.assert_array_equal(cells._by_cells(*checked), cells._everywhere(*checked))


@settings(max_examples=60, deadline=None)
@given(grid=st.tuples(*[st.integers(1, 6)] * 3), size=st.tuples(*[st.integers(1, 14)] * 3), align_corners=st.booleans())
def test_volumes(grid, size, align_corners):
    logits = np.random.default_rng(1).normal(size=(4, *grid)).astype(np.float32)
    assert_argmax(argmax_upsampled(logits, size, align_corners=align_corners), upsampled(logits, size, align_corners))


@pytest.mark.parametrize("size", [(48, 80), (31, 78), (13, 20)])
def test_few_mixed_cells_are_interpolated_alone(monkeypatch, size):
    logits = np.zeros((2, 12, 20), np.float32)
    logits[0, :, :10] = logits[1, :, 10:] = 1
    monkeypatch.setattr(cells, "_everywhere", lambda *_: pytest.fail("interpolated every pixel"))
    expected = np.arange(size[1]) >= size[1] / 2
    np.testing.assert_array_equal(argmax_upsampled(logits, size), np.broadcast_to(expected, size))


def test_fewer_pixels_than_samples_are_interpolated_without_looking_for_cells(monkeypatch):
    monkeypatch.setattr(cells, "_by_cells", lambda *_: pytest.fail("took the arg-max of more samples than pixels"))
    argmax_upsampled(np.zeros((2, 12, 20), np.float32), (5, 7))


def test_noise_is_interpolated_everywhere(monkeypatch):
    logits = np.random.default_rng(0).normal(size=(5, 16, 16)).astype(np.float32)
    monkeypatch.setattr(cells, "_cell_planes", lambda *_: pytest.fail("gathered the cells of noise"))
    argmax_upsampled(logits, (64, 64))


def test_equal_classes_give_the_lowest_index():
    assert not argmax_upsampled(np.zeros((4, 3, 3)), (9, 9)).any()
    logits = np.zeros((4, 3, 3), np.float32)
    logits[1:3, 1, 1] = 1  # classes 1 and 2 equal wherever they lead
    assert np.unique(argmax_upsampled(logits, (9, 9))).tolist() == [0, 1]


def test_same_size_is_the_plain_argmax():
    logits = np.random.default_rng(0).normal(size=(6, 40, 50)).astype(np.float32)
    np.testing.assert_array_equal(argmax_upsampled(logits, (40, 50)), logits.argmax(axis=0))


def test_any_memory_order_dtype_and_class_count():
    logits = np.random.default_rng(0).normal(size=(8, 9, 200)).astype(np.float16)
    channels_last = logits.transpose(2, 0, 1)  # (C, H', W') = (200, 8, 9)
    labels = argmax_upsampled(channels_last, (30, 30))
    assert labels.dtype == np.int16
    assert_argmax(labels, upsampled(channels_last.astype(np.float32), (30, 30)))


@pytest.mark.parametrize("size", [(19, 23), (3, 4), (6, 5)])
def test_confidence_is_the_softmax_of_the_answer(size):
    logits = np.random.default_rng(0).normal(scale=3, size=(5, 6, 5)).astype(np.float32)
    labels, confidence = argmax_and_confidence(logits, size)
    values = upsampled(logits, size)
    np.testing.assert_array_equal(labels, argmax_upsampled(logits, size))
    expected = np.exp(values.max(axis=0)) / np.exp(values).sum(axis=0)
    assert confidence.dtype == np.float16
    np.testing.assert_allclose(confidence, expected, atol=1e-3)


def test_large_logits_do_not_overflow_the_confidence():
    _, confidence = argmax_and_confidence(np.array([[[1e4]], [[-1e4]]]), (2, 2))
    assert confidence.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("shape", "size", "text"),
    [
        ((4, 5), (8, 8), r"logits: expected \(C, H, W\) or \(C, D, H, W\), none of them 0, received \(4, 5\)"),
        ((0, 4, 5), (8, 8), "logits: expected"),
        ((2, 4, 5), (8, 8, 8), r"size: expected 2 lengths above 0, received \(8, 8, 8\)"),
        ((2, 4, 5), (8, 0), r"size: expected 2 lengths above 0, received \(8, 0\)"),
    ],
)
def test_wrong_shapes_say_what_was_expected(shape, size, text):
    with pytest.raises(InvalidNoun, match=text):
        argmax_upsampled(np.zeros(shape), size)
