"""Segments: void against nothing, views against the plain way, edits that lose no row, ties, stored against derived."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import ClassSet, Segments
from intarsia.core.errors import InvalidNoun
from intarsia.core.segments import narrow

CLASSES = 4


@st.composite
def segments(draw):
    """Any layers, 2-D and 3-D, void, empty rows, tied scores; a row may lie in several layers."""
    rows = draw(st.integers(0, 6))
    shape = (draw(st.integers(1, 3)), *draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6)))
    ids = draw(hnp.arrays(np.int16, shape, elements=st.integers(-1, rows)))
    ids[1:][ids[1:] < 0] = 0
    return Segments(
        ids,
        draw(hnp.arrays(np.int64, rows, elements=st.integers(0, CLASSES - 1))),
        scores=draw(hnp.arrays(np.float32, rows, elements=st.sampled_from([0.25, 0.5, 1.0]))),
        crowd=draw(hnp.arrays(np.bool_, rows)),
    )


# -- void, nothing, semantic -----------------------------------------------------------------------------------------------------


@given(segments())
def test_a_pixel_is_void_nothing_or_of_a_class_and_never_two(one):
    labels = one.semantic(CLASSES)
    np.testing.assert_array_equal(labels == -1, one.void)
    np.testing.assert_array_equal(labels == CLASSES, ~one.void & ~one.masks.any(axis=0))


@given(segments())
def test_where_rows_overlap_the_highest_score_wins_then_the_later_row(one):
    labels, masks = one.semantic(CLASSES), one.masks
    for pixel in np.ndindex(one.size):
        here = [row for row in range(len(one)) if masks[(row, *pixel)]]
        if here and not one.void[pixel]:
            winner = max(here, key=lambda row: (one.scores[row], row))
            assert labels[pixel] == one.classes[winner]


def test_ties_by_hand():
    ids = [[[1, 1]], [[2, 2]], [[0, 3]]]
    assert Segments(ids, [0, 1, 2]).semantic(3).tolist() == [[1, 2]]  # all 1: the later row
    assert Segments(ids, [0, 1, 2], scores=[0.9, 0.5, 0.7]).semantic(3).tolist() == [[0, 0]]
    assert Segments(ids, [0, 1, 2], scores=[0.5, 0.5, 0.4]).semantic(3).tolist() == [[1, 1]]


def test_groups_are_independent_maps():
    """Nested regions: where the core lies within the whole, each group still has its own answer there."""
    classes = ClassSet(("whole", "core"), groups=(("whole",), ("core",)))
    nested = Segments([[[1, 1, -1]], [[0, 2, 2]]], [0, 1])
    views = [
        nested.select(np.isin(nested.classes, [classes.index(n) for n in group])).semantic(2).tolist() for group in classes.groups
    ]
    assert views == [[[0, 0, -1]], [[2, 1, -1]]]


@given(hnp.arrays(st.sampled_from([np.int8, np.int64]), (4, 5), elements=st.integers(-1, CLASSES)))
def test_from_semantic_is_the_inverse_of_semantic(labels):
    one = Segments.from_semantic(labels, CLASSES)
    np.testing.assert_array_equal(one.semantic(CLASSES), labels)
    assert one.classes.tolist() == [index for index in range(CLASSES) if (labels == index).any()]
    assert one.ids.dtype == np.int8


def test_from_semantic_of_many_classes_and_unsigned_labels():
    labels = np.arange(200, dtype=np.uint8).reshape(1, 200)
    assert Segments.from_semantic(labels, 200).semantic(200).ravel().tolist() == list(range(200))


# -- masks, areas, boxes -----------------------------------------------------------------------------------------------------------


@given(segments())
def test_masks_are_where_the_ids_are(one):
    for row, mask in enumerate(one.masks):
        np.testing.assert_array_equal(mask, (one.ids == row + 1).any(axis=0))
        np.testing.assert_array_equal(mask, one.mask(row))
    assert one.masks.shape == (len(one), *one.size)


@st.composite
def partitions(draw):
    one = draw(segments())
    return Segments(one.ids[:1], one.classes)


@given(partitions())
def test_derived_boxes_and_areas_are_those_of_the_masks(one):
    for mask, box, area in zip(one.masks, one.boxes, one.areas, strict=True):
        where = np.argwhere(mask)[:, ::-1]  # x first
        assert area == len(where)
        expected = [*where.min(axis=0), *(where.max(axis=0) + 1)] if len(where) else [0] * (2 * mask.ndim)
        assert box.tolist() == expected


@given(segments())
def test_boxes_span_the_pixels_of_all_layers(one):
    for mask, box in zip(one.masks, one.boxes, strict=True):
        where = np.argwhere(mask)[:, ::-1]
        assert box.tolist() == ([*where.min(axis=0), *(where.max(axis=0) + 1)] if len(where) else [0] * (2 * mask.ndim))


def test_boxes_of_a_picture_without_pixels():
    assert Segments(np.zeros((1, 0, 5), int), [0]).boxes.tolist() == [[0, 0, 0, 0]]
    assert Segments(np.zeros((1, 5, 0), int), [0]).boxes.tolist() == [[0, 0, 0, 0]]


def test_boxes_run_over_layers():
    assert Segments([[[1, 0, 0]], [[0, 0, 1]]], [0]).boxes.tolist() == [[0, 0, 3, 1]]


def test_a_volume_says_x_y_z():
    ids = np.zeros((1, 4, 5, 6), int)
    ids[0, 3, 1:3, 2:6] = 1
    assert Segments(ids, [0]).boxes.tolist() == [[2, 1, 3, 6, 3, 4]]


STORED = Segments([[[1, 1, 2]]], [0, 1], boxes=[[0.5, 0, 1.5, 1], [2, 0, 3, 1]], areas=[1.7, 1])


def test_stored_boxes_and_areas_win_over_derived_until_pixels_change():
    assert STORED.areas.tolist() == pytest.approx([1.7, 1])
    assert STORED.boxes[0].tolist() == [0.5, 0, 1.5, 1]
    picked = STORED.select([1, 0])
    assert (picked.areas[1], picked.boxes[1].tolist()) == (1.7, [0.5, 0, 1.5, 1])
    assert STORED.with_classes([5, 5]).areas[0] == 1.7
    assert STORED.compact().areas[0] == 1.7
    moved = STORED.with_ids(STORED.ids[:, :, ::-1])
    assert moved.areas.tolist() == [2, 1]
    assert moved.boxes.tolist() == [[1, 0, 3, 1], [0, 0, 1, 1]]


# -- edits -------------------------------------------------------------------------------------------------------------------------


@given(segments(), st.data())
def test_select_keeps_rows_in_the_order_asked_for(one, data):
    rows = data.draw(st.lists(st.integers(0, len(one) - 1), unique=True)) if len(one) else []
    kept = one.select(rows)
    np.testing.assert_array_equal(kept.masks, one.masks[rows])
    for name in ("classes", "scores", "crowd"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(one, name)[rows])
    np.testing.assert_array_equal(kept.void, one.void)
    flags = np.isin(np.arange(len(one)), rows)
    assert one.select(flags) == one.select(sorted(rows))
    assert one.select(np.arange(len(one))) == one


@given(segments())
def test_compact_drops_empty_rows_and_layers_and_nothing_else(one):
    small = one.compact()
    seen = one.masks.any(axis=tuple(range(1, one.ids.ndim)))
    assert small == one.select(seen)
    assert small.masks.any(axis=tuple(range(1, one.ids.ndim))).all()
    assert all(layer.any() for layer in small.ids[1:])
    np.testing.assert_array_equal(small.semantic(CLASSES), one.semantic(CLASSES))
    again = small.compact()
    assert again == small
    assert again.ids.shape == small.ids.shape


@given(segments())
def test_equality_is_that_of_masks_not_of_layers(one):
    turned = np.where(one.void, 0, one.ids)[::-1].copy()
    turned[0][one.void] = -1
    kept = one.ids.copy()
    kept[1:][:, one.void] = 0
    assert one.with_ids(turned) == one.with_ids(kept)
    if len(one):
        assert one != one.select(np.arange(len(one) - 1))
        assert one != one.with_classes(one.classes + 1)
    assert one != "segments"


@given(segments())
def test_pickle_gives_it_back(one):
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    np.testing.assert_array_equal(again.boxes, one.boxes)


def test_confidence_goes_with_the_pixels():
    one = Segments([[[1, 0]]], [0], confidence=[[0.5, 0.25]])
    assert one.confidence.dtype == np.float16
    assert one.select([]).confidence is not None
    assert one.with_ids(one.ids).confidence is None
    assert one.with_ids(one.ids, same_pixels=True).confidence is one.confidence
    assert one.with_ids(one.ids, confidence=np.ones((1, 2))).confidence.tolist() == [[1, 1]]


@pytest.mark.parametrize(("rows", "dtype"), [(0, np.int8), (127, np.int8), (128, np.int16), (32767, np.int16), (32768, np.int32)])
def test_ids_take_the_narrowest_type_that_holds_the_rows(rows, dtype):
    assert Segments(np.zeros((1, 1, 1), np.uint16), np.zeros(rows)).ids.dtype == dtype


def test_empty():
    nobody = Segments.empty((3, 4))
    assert (len(nobody), nobody.size, nobody.masks.shape, nobody.boxes.shape) == (0, (3, 4), (0, 3, 4), (0, 4))
    assert nobody.areas.shape == (0,)
    assert (nobody.semantic(2) == 2).all()
    assert repr(nobody) == "Segments(0 rows, 3x4, 1 layer)"


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Segments([[1, 0]], [0]), r"Segments ids: expected integers of shape \(L, H, W\) .*, received int64 \(1, 2\)"),
        (lambda: Segments([[[0.5]]], []), r"received float64 \(1, 1, 1\)"),
        (lambda: Segments(np.zeros((0, 2, 2), int), []), r"L > 0, received int64 \(0, 2, 2\)"),
        (lambda: Segments([[[2]]], [0]), r"Segments ids: expected -1\.\.1 for 1 classes, received 2\.\.2"),
        (lambda: Segments([[[-2]]], [0]), r"received -2\.\.-2"),
        (lambda: Segments([[[0]], [[-1]]], []), r"expected void \(-1\) in layer 0 only, received -1 in an upper layer"),
        (lambda: Segments([[[1]]], [-1]), "Segments classes: expected indices from 0, received -1"),
        (lambda: Segments([[[1]]], [0], scores=[1, 1]), r"Segments scores: expected shape \(1,\), received \(2,\)"),
        (lambda: Segments([[[1]]], [0], crowd=[]), r"Segments crowd: expected shape \(1,\), received \(0,\)"),
        (lambda: Segments([[[1]]], [0], boxes=[[0, 0, 1]]), r"Segments boxes: expected shape \(1, 4\), received \(1, 3\)"),
        (lambda: Segments([[[1]]], [0], areas=[[1]]), r"Segments areas: expected shape \(1,\), received \(1, 1\)"),
        (lambda: Segments([[[1]]], [0], confidence=[1]), r"Segments confidence: expected shape \(1, 1\), received \(1,\)"),
        (
            lambda: Segments.from_semantic(np.array([[0, 255]]), 2),
            r"labels: expected -1 \(void\), 0\.\.1 or 2 .*, received 0\.\.255",
        ),
        (lambda: Segments([[[1]]], [2]).semantic(2), r"Segments classes: expected indices 0\.\.1, received 2"),
        (lambda: STORED.check_classes(1), r"Segments classes: expected indices 0\.\.0, received 1"),
        (lambda: STORED.check_classes(1, "truth"), r"truth classes: expected indices 0\.\.0, received 1"),
        (lambda: STORED.select([0, 0]), r"select: expected distinct rows of 0\.\.1, received \[0, 0\]"),
        (lambda: STORED.select([2]), r"received \[2\]"),
        (lambda: STORED.select([-1]), r"received \[-1\]"),
        (lambda: STORED.select([True]), r"select: expected 2 bools, one for each row, received \(1,\)"),
        (lambda: STORED.with_ids(np.array([[[3]]])), r"Segments ids: expected -1\.\.2 for 2 classes, received 3\.\.3"),
        (lambda: narrow(-1, 1 << 31), r"Segments ids: expected values within int32, received -1\.\.2147483648"),
    ],
)
def test_errors(build, text):
    with pytest.raises(InvalidNoun, match=text):
        build()
