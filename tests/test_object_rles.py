"""The run lengths of all objects at once, against those of one mask at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import Segments
from intarsia.ops.object_rles import object_rles
from intarsia.ops.rle import to_rle


@given(
    hnp.arrays(
        np.int8,
        st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 9)),
        elements=st.integers(0, 4),
    ),
    st.integers(0, 3),
)
def test_they_are_those_of_each_mask(ids, void):
    """A row may lie in several layers, in places and in pixels that touch or are the same."""
    ids[0].flat[:void] = -1
    segments = Segments(ids, [0, 1, 0, 2])
    assert object_rles(segments) == [to_rle(segments.mask(row)) for row in range(4)]


def test_no_object_is_no_text():
    assert object_rles(Segments.empty((3, 4))) == []


def test_long_runs_over_many_columns():
    ids = np.ones((1, 300, 400), int)
    ids[0, 10:250, 30:390] = 2
    segments = Segments(ids, [0, 1, 1])
    assert object_rles(segments) == [to_rle(segments.mask(row)) for row in range(3)]
