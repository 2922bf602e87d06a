"""Targets give, in torch, the views that Segments give in numpy; Batch holds what belongs together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import Batch, Segments, Targets
from intarsia.core.errors import InvalidNoun
from intarsia.ops.packing import pack

CLASSES = 3


@st.composite
def truths(draw):
    """One to three images of one size, 2-D or 3-D, with overlap, void and empty rows."""
    size = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6))

    def one():
        rows = draw(st.integers(0, 5))
        classes = draw(hnp.arrays(np.int64, rows, elements=st.integers(0, CLASSES - 1)))
        return pack(
            draw(hnp.arrays(np.bool_, (rows, *size))),
            classes,
            void=draw(hnp.arrays(np.bool_, size)),
            crowd=draw(hnp.arrays(np.bool_, rows)),
        )

    return [one() for _ in range(draw(st.integers(1, 3)))]


def targets_of(images):
    """As collate does: layers and rows padded to the most of the batch."""
    layers, rows = max(len(s.ids) for s in images), max(len(s) for s in images)
    dtype = max((s.ids.dtype for s in images), key=lambda dtype: dtype.itemsize)
    ids = np.zeros((len(images), layers, *images[0].size), dtype)
    classes, crowd = np.full((len(images), rows), -1), np.zeros((len(images), rows), bool)
    for image, one in enumerate(images):
        ids[image, : len(one.ids)], classes[image, : len(one)], crowd[image, : len(one)] = one.ids, one.classes, one.crowd
    return Targets(torch.from_numpy(ids), torch.from_numpy(classes), torch.from_numpy(crowd), CLASSES)


@given(truths())
def test_views_equal_those_of_segments(images):
    targets = targets_of(images)
    assert targets.semantic().dtype == torch.int64
    for index, one in enumerate(images):
        np.testing.assert_array_equal(targets.semantic()[index].numpy(), one.semantic(CLASSES))
        np.testing.assert_array_equal(targets.masks(index).numpy(), one.masks)
        np.testing.assert_array_equal(targets.boxes()[index, : len(one)].numpy(), one.boxes)
        crowd = np.logical_or.reduce(one.masks[one.crowd], axis=0)
        np.testing.assert_array_equal(targets.unproven()[index].numpy(), one.void | crowd)
    assert targets.boxes().dtype == torch.float32


def test_views_are_made_once_and_stay_behind_when_moved():
    targets = targets_of([Segments([[[1, 0, -1]]], [2])])
    assert targets.semantic() is targets.semantic()
    assert targets.semantic().tolist() == [[[2, CLASSES, -1]]]
    moved = targets.to("cpu")
    assert moved.semantic() is not targets.semantic()
    assert moved.semantic().tolist() == targets.semantic().tolist()


def batch_of(images=2, **options):
    defaults = {"images": torch.zeros(images, 3, 4, 5, dtype=torch.uint8), "keys": ("a", "b")[:images], "sizes": ((8, 9),) * images}
    return Batch(**defaults | options)


def test_a_batch_moves_whole():
    batch = batch_of(
        valid=torch.ones(2, 4, 5, dtype=torch.bool), targets=targets_of([Segments.empty((4, 5))] * 2), stats=torch.zeros(2, 3, 2)
    )
    moved = batch.to("meta")
    assert {value.device.type for value in (moved.images, moved.valid, moved.stats, moved.targets.ids)} == {"meta"}
    assert (moved.keys, moved.sizes, len(moved)) == (("a", "b"), ((8, 9), (8, 9)), 2)
    assert batch_of().to("meta").targets is None


IDS, ROWS = torch.zeros(1, 1, 4, 5, dtype=torch.int8), torch.zeros(1, 2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Targets(IDS[0], ROWS, ROWS > 0, 3),
            r"Targets: expected ids \(B, L, \*S\) and classes \(B, N\), received \(1, 4, 5\) and",
        ),
        (lambda: Targets(IDS, ROWS[0], ROWS > 0, 3), r"received \(1, 1, 4, 5\) and \(2,\)"),
        (lambda: Targets(IDS, ROWS, ROWS[:, :1] > 0, 3), r"Targets crowd: expected \(1, 2\), received \(1, 1\)"),
        (lambda: batch_of(keys=("a",)), "Batch: expected 2 keys and sizes, received 1 and 2"),
        (
            lambda: batch_of(valid=torch.ones(2, 5, 4)),
            r"Batch valid: expected \(B, \*S\) where B 2, \*S \(4, 5\), received \(2, 5, 4\)",
        ),
        (lambda: batch_of(valid=torch.ones(1, 4, 5)), r"Batch valid: .* received \(1, 4, 5\)"),
        (lambda: batch_of(stats=torch.zeros(2, 1, 2)), r"Batch stats: expected \(B, C, 2\) where B 2, C 3, received \(2, 1, 2\)"),
        (
            lambda: Batch(torch.zeros(2, 4, 5), ("a", "b"), ((4, 5),) * 2),
            r"Batch images: expected \(B, C, \*S\), received \(2, 4, 5\)",
        ),
        (
            lambda: batch_of(targets=targets_of([Segments.empty((4, 4))] * 2)),
            r"Batch targets: expected the images' size \(4, 5\), received \(4, 4\)",
        ),
    ],
)
def test_errors(build, text):
    with pytest.raises(InvalidNoun, match=text):
        build()
