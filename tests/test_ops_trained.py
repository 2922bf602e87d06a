"""Which segments are trained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.ops.packing import pack
from intarsia.ops.trained import trained_segments

STREET = ClassSet(("road", "car", "person"), things=("car", "person"))


@st.composite
def segments(draw, classes=3):
    rows = draw(st.integers(0, 5))
    masks = draw(hnp.arrays(np.bool_, (rows, 4, 5)))
    return pack(
        masks,
        draw(hnp.arrays(np.int64, rows, elements=st.integers(0, classes - 1))),
        void=draw(hnp.arrays(np.bool_, (4, 5))),
        scores=draw(hnp.arrays(np.float32, rows, elements=st.sampled_from([0.25, 0.5, 1.0]))),
        crowd=draw(hnp.arrays(np.bool_, rows)),
    )


@given(segments())
def test_all_keeps_everything_but_that_stuff_is_one_row_of_each_class(truth):
    merged = trained_segments(truth, STREET, "all")
    stuff = (truth.classes == 0) & ~truth.crowd
    if stuff.sum() < 2:
        assert merged is truth
        return
    first = np.flatnonzero(stuff)[0]
    kept = [row for row in range(len(truth)) if not stuff[row] or row == first]
    assert merged.classes.tolist() == truth.classes[kept].tolist()
    np.testing.assert_array_equal(merged.crowd, truth.crowd[kept])
    np.testing.assert_array_equal(merged.void, truth.void)
    for row, mask, score in zip(kept, merged.masks, merged.scores, strict=True):
        rows = np.flatnonzero(stuff) if row == first else [row]
        np.testing.assert_array_equal(mask, truth.masks[rows].any(axis=0))
        assert score == truth.scores[rows].max()


@given(segments())
def test_things_keeps_the_rows_of_things_and_the_void(truth):
    kept = trained_segments(truth, STREET, "things")
    rows = np.flatnonzero(truth.classes > 0)
    np.testing.assert_array_equal(kept.masks, truth.masks[rows])
    np.testing.assert_array_equal(kept.crowd, truth.crowd[rows])
    np.testing.assert_array_equal(kept.void, truth.void)


@given(segments())
def test_classes_is_the_semantic_map_as_rows(truth):
    merged = trained_segments(truth, STREET, "classes")
    labels = truth.semantic(3)
    np.testing.assert_array_equal(merged.semantic(3), labels)
    assert merged.classes.tolist() == [index for index in range(3) if (labels == index).any()]
    assert len(merged.ids) == 1
    assert not merged.crowd.any()
    for index, score in zip(merged.classes, merged.scores, strict=True):
        assert score == truth.scores[truth.classes == index].max()
    assert trained_segments(merged, STREET, "classes") == merged


def test_a_crowd_of_cars_is_car():
    truth = Segments([[[1, 2, 0]]], [1, 1], crowd=[False, True])
    assert trained_segments(truth, STREET, "classes").ids.tolist() == [[[1, 1, 0]]]
    assert trained_segments(truth, STREET, "things").crowd.tolist() == [False, True]


NESTED = ClassSet(("whole", "core", "active", "cyst"), groups=(("whole",), ("core", "cyst"), ("active",)))


@given(segments(classes=4))
def test_each_group_has_its_own_semantic_map(truth):
    merged = trained_segments(truth, NESTED, "classes")
    for group in NESTED.groups:
        indices = [NESTED.index(name) for name in group]
        before = truth.select(np.isin(truth.classes, indices)).semantic(4)
        after = merged.select(np.isin(merged.classes, indices)).semantic(4)
        np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(merged.void, truth.void)


def test_nested_regions_keep_the_pixels_they_share():
    truth = pack([[[1, 1, 1, 0]], [[0, 1, 1, 0]]], [0, 1], void=np.array([[True, False, False, False]]))
    merged = trained_segments(truth, NESTED, "classes")
    assert merged.ids.tolist() == [[[-1, 1, 1, 0]], [[0, 2, 2, 0]]]


def test_errors():
    with pytest.raises(OptionError, match=r"trained: expected all, things or classes, received 'thing'\. Did you mean 'things'\?"):
        trained_segments(Segments.empty((2, 2)), STREET, "thing")
    with pytest.raises(InvalidNoun, match=r"Segments classes: expected indices 0\.\.2, received 3"):
        trained_segments(Segments([[[1]]], [3]), STREET, "things")
