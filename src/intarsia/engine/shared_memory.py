"""What a loader's worker hands over, in one piece of shared memory.

torch's own way takes one for each tensor, half a millisecond each, and sends arrays of numpy through a pipe.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Packed", "packed", "unpacked"]

ALIGNED = 64
"""Bytes that each array starts at a multiple of, as the allocators of numpy and torch would have it."""


class Packed(NamedTuple):
    """Anything that can be pickled; a tuple, so that torch's DataLoader knows how to pin its memory."""

    rest: bytes
    """The pickle without the arrays' values."""
    values: Tensor
    """(bytes,) those of all arrays and tensors, in shared memory."""
    spans: tuple[tuple[int, int], ...]
    """First and last byte of each."""


def packed(value: Any) -> Packed:
    """`value` with its arrays and CPU tensors in one piece of shared memory.

    >>> unpacked(packed({"a": torch.arange(3), "b": "text"}))
    {'a': tensor([0, 1, 2]), 'b': 'text'}
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    raw = [buffer.raw() for buffer in buffers]
    starts = [0, *accumulate(-(-part.nbytes // ALIGNED) * ALIGNED for part in raw)]
    storage: Any = torch.UntypedStorage  # whose types are not told
    values = torch.empty(0, dtype=torch.uint8).set_(storage._new_shared(starts[-1]))
    memory = _bytes(values)
    spans = tuple((start, start + part.nbytes) for start, part in zip(starts, raw, strict=False))
    for (start, stop), part in zip(spans, raw, strict=True):
        memory[start:stop] = part
    return Packed(stream.getvalue(), values, spans)


def unpacked(value: Packed) -> Any:
    """What was packed; its arrays and tensors are views of the shared memory, which goes with the last of them."""
    memory = _bytes(value.values)
    return pickle.loads(value.rest, buffers=[memory[start:stop] for start, stop in value.spans])


def _bytes(values: Tensor) -> memoryview:
    array: Any = values.numpy()
    return memoryview(array)


class _Pickler(pickle.Pickler):
    """Arrays of numpy leave the pickle by themselves; tensors go as arrays, their axes in the order that they have in memory."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return NotImplemented
        order = sorted(range(value.ndim), key=value.stride, reverse=True)
        return _tensor, (value.permute(order).contiguous().numpy(), order)


def _tensor(array: Any, order: list[int]) -> Tensor:
    return torch.from_numpy(array).permute([order.index(axis) for axis in range(len(order))])
