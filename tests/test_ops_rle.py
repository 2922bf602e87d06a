"""COCO's run lengths: what pycocotools writes is read as it reads it, and what is none is refused."""

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from intarsia.core.errors import LabelError
from intarsia.ops.rle import from_rle, to_rle


@given(arrays.arrays("bool", arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)), strategies.sampled_from([1, 60]))
def test_every_mask_comes_back(mask, larger):
    mask = np.kron(mask, np.ones((1, larger), np.bool_))  # lengths of several groups of bits
    text = to_rle(mask)
    np.testing.assert_array_equal(from_rle(text), mask)
    np.testing.assert_array_equal(from_rle(text), coco.decode(text))
    column = mask.T.ravel()
    changes = np.flatnonzero(np.diff(column, prepend=False))
    plain = np.diff(np.r_[0, changes, column.size]).tolist()
    np.testing.assert_array_equal(from_rle({"size": mask.shape, "counts": plain}), mask)


@pytest.mark.parametrize(
    "counts",
    ["zzzz", "22\u20ac", "2", "", "222", "2N4", "P" * 14 + "1", [2, 1], [-1, 5], ["a"], None],
    ids=["goes on", "no character of it", "short", "empty", "long", "negative", "64 bits", "sum", "sign", "text", "none"],
)
def test_what_does_not_fill_the_mask_is_refused(counts):
    with pytest.raises(LabelError, match="counts that fill it"):
        from_rle({"size": [2, 2], "counts": counts})
