"""Maps whose numbers are those of a file, turned into maps of rows: found by run, as a map is a few thousand of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import IntarsiaError
from intarsia.core.segments import narrow
from intarsia.ops.runs import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["renumbered"]

CHUNK = 1 << 17
"""Pixels at a time, so that they stay in the processor's cache."""
SHOWN = 5
"""The unknown numbers that an error names."""


def renumbered(numbers: NDArray[Any], ids: Mapping[int, int]) -> NDArray[np.signedinteger[Any]]:
    """(*S) the id, from -1 on, of each number of a map (*S), in the narrowest type that holds them.

    Raises IntarsiaError for a number that has none.

    >>> renumbered(np.array([[0, 70000, 70000, 9]]), {0: -1, 9: 1, 70000: 2}).tolist()
    [[-1, 2, 2, 1]]
    """
    known = np.array(sorted(ids))
    dtype = narrow(-1, max(ids.values(), default=0))
    table: NDArray[np.signedinteger[Any]] = np.array([ids[number] for number in known.tolist()]).astype(dtype)
    flat = numbers.reshape(-1)  # (*S) -> (H*W,)
    found = np.empty_like(table, shape=flat.size)
    for start in range(0, flat.size, CHUNK):
        values, lengths = runs(flat[start : start + CHUNK])
        places = np.searchsorted(known[:-1], values)
        if (strange := known[places] != values).any():
            some = np.unique(values[strange])[:SHOWN].tolist()
            raise IntarsiaError("map", expected=f"the {len(known)} numbers that have an id", received=f"also {some}")
        found[start : start + CHUNK] = np.repeat(table[places], lengths)  # (R,) -> (pixels,)
    return found.reshape(numbers.shape)
