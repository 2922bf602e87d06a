"""Maps of a file's numbers to ids: against a loop, over chunks, and numbers that nobody told of."""

from __future__ import annotations

import numpy as np
import pytest

from intarsia.core.errors import IntarsiaError
from intarsia.ops import renumbering
from intarsia.ops.renumbering import renumbered


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("shape", [(37, 41), (1, 1), (3, 5, 7), (0, 4)])
def test_it_is_a_look_up(dtype, shape, monkeypatch):
    monkeypatch.setattr(renumbering, "CHUNK", 100)  # several, the last not full
    rng = np.random.default_rng(1)
    numbers = rng.choice(200 if dtype == np.uint8 else 1 << 24, 130, replace=False)
    ids = dict(zip(numbers.tolist(), range(-1, 129), strict=True))
    labels = np.repeat(rng.choice(numbers, -(-int(np.prod(shape)) // 4)), 4)[: int(np.prod(shape))].astype(dtype).reshape(shape)
    found = renumbered(labels, ids)
    assert found.dtype == np.int16  # up to 128
    np.testing.assert_array_equal(found, np.vectorize(ids.get, otypes=[int])(labels) if labels.size else labels)


def test_an_unknown_number_is_told():
    with pytest.raises(IntarsiaError, match=r"map: expected the 2 numbers that have an id, received also \[8, 70000\]"):
        renumbered(np.array([0, 9, 8, 70000, 8]), {0: -1, 9: 1})


def test_a_map_that_knows_one_number():
    assert renumbered(np.zeros((2, 3), np.uint8), {0: -1}).tolist() == [[-1] * 3] * 2
