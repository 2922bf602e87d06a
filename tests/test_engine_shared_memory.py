"""What workers hand over: values, dtypes and the order in memory arrive as they were, in one piece of memory."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
import torch
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays
from torch.utils.data import DataLoader

from intarsia.core import Segments
from intarsia.engine.loader import Handover
from intarsia.engine.shared_memory import SLOT, Slots, packed, unpacked

DTYPES = ("bool", "int8", "uint8", "int16", "int64", "float32", "float64")


@given(strategies.sampled_from(DTYPES).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))))
def test_arrays_arrive_as_they_were(array):
    for given_ in (array, array.T, array[::-1] if array.ndim else array):
        arrived = unpacked(packed(given_))
        assert (arrived.dtype, arrived.shape) == (given_.dtype, given_.shape)
        np.testing.assert_array_equal(arrived, given_)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24).view(2, 3, 4),
        torch.arange(120, dtype=torch.uint8).view(2, 3, 4, 5).movedim(-1, 1),  # a batch of images
        torch.arange(240.0).view(2, 3, 4, 5, 2).movedim(-1, 1),  # and of volumes
        torch.arange(24).view(4, 6)[1:, ::2],
        torch.arange(3).expand(4, 3),
        torch.zeros(0, 3, dtype=torch.bool),
        torch.tensor(7.0),
    ],
    ids=["contiguous", "channels last", "channels last 3d", "every other", "expanded", "empty", "number"],
)
def test_tensors_arrive_as_they_were(tensor):
    arrived = unpacked(packed((tensor, tensor)))
    for one in arrived:
        assert one.dtype == tensor.dtype
        assert torch.equal(one, tensor)
    if tensor.ndim == 4:
        assert arrived[0].stride() == tensor.stride()


def test_everything_is_views_of_one_shared_piece_that_may_be_written_to():
    box = packed([np.arange(5), torch.arange(3), "text", np.zeros((2, 2))])
    assert box.values.is_shared()
    assert [start % 64 for start, _ in box.spans] == [0, 0, 0]
    first, second, text, _ = unpacked(box)
    first[0], second[1] = 8, 9
    assert text == "text"
    again = unpacked(box)
    assert (again[0][0], int(again[1][1])) == (8, 9)


def test_a_worker_hands_over_samples_and_segments():
    truth = Segments(np.int8([[[1, -1], [0, 2]]]), [3, 5])
    loader = DataLoader([(truth, torch.ones(2, 3))] * 4, batch_size=2, num_workers=1, collate_fn=Handover(list))
    for box in loader:
        for segments, ones in unpacked(box):
            assert segments == truth
            assert torch.equal(ones, torch.ones(2, 3))


# -- slots -------------------------------------------------------------------------------------------------------------------------


def test_a_slot_is_lent_until_the_last_view_of_it_is_gone():
    slots = Slots(2)
    values, kept = unpacked(packed((np.arange(4), torch.arange(3)), slots), slots)
    part = kept[1:]
    del values, kept
    boxes = [packed(np.full(9, 7), slots) for _ in range(3)]
    assert boxes[0].values == 1  # the other one
    assert all(isinstance(box.values, torch.Tensor) for box in boxes[1:])  # none was free, and nothing is lost
    assert part.tolist() == [1, 2]
    del part
    assert packed(np.arange(4), slots).values == 0


def test_what_is_too_large_for_a_slot_has_memory_of_its_own():
    slots = Slots(1)
    assert slots.take(SLOT + 1) is None
    assert slots.take(SLOT) == 0


def test_a_forked_process_gives_nothing_back():
    slots = Slots(1)
    lent = unpacked(packed(np.arange(4), slots), slots)
    child = os.fork()
    if not child:
        del lent
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert slots.take(1) is None
    assert lent.tolist() == [0, 1, 2, 3]


def test_what_is_lent_outlives_the_slots():
    slots = Slots(1)
    lent = unpacked(packed(np.arange(4), slots), slots)
    del slots
    gc.collect()
    assert lent.tolist() == [0, 1, 2, 3]
    del lent  # would be an unraisable error if the pipe were closed
