"""What a loader's worker hands over, in one piece of shared memory.

torch's own way takes one for each tensor, half a millisecond each, and sends arrays of numpy through a pipe.
"""

from __future__ import annotations

import os
import pickle
import weakref
from io import BytesIO, FileIO
from itertools import accumulate
from mmap import mmap
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Packed", "Slots", "packed", "unpacked"]

ALIGNED = 64
"""Bytes that each array starts at a multiple of, as the allocators of numpy and torch would have it."""
SLOT = 2**28
"""Bytes of a slot; what is not written to takes no memory."""


class Packed(NamedTuple):
    """Anything that can be pickled; a tuple, so that torch's DataLoader knows how to pin its memory."""

    rest: bytes
    """The pickle without the arrays' values."""
    values: Tensor | int
    """(bytes,) those of all arrays and tensors, in shared memory of their own; or the number of the slot they are in."""
    spans: tuple[tuple[int, int], ...]
    """First and last byte of each."""


class Slots:
    """Shared memory that processes forked later write to, again and again, because what is new costs both sides a page fault for
    every 4 KiB. A slot is free again when the last array or tensor in it is gone.

    >>> slots = Slots(1)
    >>> first = unpacked(packed(np.arange(3), slots), slots)
    >>> packed(np.arange(3), slots).values.shape  # none is free: a piece of its own
    torch.Size([64])
    >>> del first
    >>> packed(np.arange(3), slots).values
    0
    """

    def __init__(self, count: int) -> None:
        self._memory = [mmap(-1, SLOT) for _ in range(min(count, 256))]
        free, freed = os.pipe()  # of their numbers, a byte each: whoever reads one has the slot
        os.set_blocking(free, False)
        self._free, self._freed = FileIO(free, "rb"), FileIO(freed, "wb")  # closed with this object
        self._freed.write(bytes(range(len(self._memory))))
        self._reader = os.getpid()

    def take(self, size: int) -> int | None:
        """The number of a free slot that has room for so many bytes, if there is one."""
        number = self._free.read(1) if size <= SLOT else None
        return number[0] if number else None

    def bytes(self, number: int) -> memoryview:
        """To write to, by who has taken it."""
        return memoryview(self._memory[number])

    def lent(self, number: int) -> memoryview:
        """To read from, by the process that made the slots; free again when this and all its parts are gone."""
        array = np.frombuffer(self._memory[number], np.uint8)
        weakref.finalize(array, self._give_back, number).atexit = False
        return array.data

    def _give_back(self, number: int) -> None:
        if os.getpid() == self._reader:  # what it lends is inherited by processes forked meanwhile, and not theirs to give back
            self._freed.write(bytes([number]))


def packed(value: Any, slots: Slots | None = None) -> Packed:
    """`value` with its arrays and CPU tensors in a slot, or where none is free in one new piece of shared memory.

    >>> unpacked(packed({"a": torch.arange(3), "b": "text"}))
    {'a': tensor([0, 1, 2]), 'b': 'text'}
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    raw = [buffer.raw() for buffer in buffers]
    starts = [0, *accumulate(-(-part.nbytes // ALIGNED) * ALIGNED for part in raw)]
    spans = tuple((start, start + part.nbytes) for start, part in zip(starts, raw, strict=False))
    values: Tensor | int
    number = slots.take(starts[-1]) if slots else None
    if slots and number is not None:
        values, memory = number, slots.bytes(number)
    else:
        storage: Any = torch.UntypedStorage  # whose types are not told
        values = torch.empty(0, dtype=torch.uint8).set_(storage._new_shared(starts[-1]))
        memory = _bytes(values)
    for (start, stop), part in zip(spans, raw, strict=True):
        memory[start:stop] = part
    return Packed(stream.getvalue(), values, spans)


def unpacked(value: Packed, slots: Slots | None = None) -> Any:
    """What was packed; its arrays and tensors are views of the shared memory, which is given back with the last of them."""
    memory = slots.lent(value.values) if slots and isinstance(value.values, int) else _bytes(value.values)
    return pickle.loads(value.rest, buffers=[memory[start:stop] for start, stop in value.spans])


def _bytes(values: Any) -> memoryview:
    memory: memoryview = values.numpy().data
    return memory


class _Pickler(pickle.Pickler):
    """Arrays of numpy leave the pickle by themselves; tensors go as arrays, their axes in the order that they have in memory."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return NotImplemented
        order = sorted(range(value.ndim), key=value.stride, reverse=True)
        return _tensor, (value.permute(order).contiguous().numpy(), order)


def _tensor(array: Any, order: list[int]) -> Tensor:
    return torch.from_numpy(array).permute([order.index(axis) for axis in range(len(order))])
