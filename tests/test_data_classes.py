"""Class files and codings: which id means what."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intarsia.core import ClassSet
from intarsia.core.errors import LabelError
from intarsia.data.class_files import coding_near, read_classes, write_classes
from intarsia.data.coding import Coding


def written(tmp_path, name: str, text: str):
    (tmp_path / name).write_text(text)
    return read_classes(tmp_path / name)


def test_the_line_number_is_the_id(tmp_path):
    coding = written(tmp_path, "codes.txt", "sky\nVOID\nzebra crossing\n\n\n")
    assert coding.classes.names == ("sky", "zebra crossing")
    assert (coding.ids, coding.void, coding.classes.void) == ((0, 2), (1,), ("VOID",))


@pytest.mark.parametrize("name", ["void", "Void", "unlabelled", "Unlabeled", "IGNORE"])
def test_names_of_void(name, tmp_path):
    assert written(tmp_path, "classes.txt", f"{name}\nsky\n") == Coding(ClassSet(("sky",), void=(name,)), (1,), (0,))


@pytest.mark.parametrize("text", ["64 128 64\tTree of life\n0 0 0\t\tvoid\n", "Tree of life 64 128 64\nvoid 0, 0, 0\n"])
def test_colours_before_or_after_the_name(text, tmp_path):
    coding = written(tmp_path, "label_colors.txt", text)
    assert coding.classes == ClassSet(("Tree of life",), ((64, 128, 64),), void=("void",))


def test_colours_from_the_file_beside(tmp_path):
    (tmp_path / "colors.txt").write_text("road 4 5 6\nsky 1 2 3\nVoid 0 0 0\n")
    assert written(tmp_path, "codes.txt", "sky\nroad\nVoid\n").classes.colours == ((1, 2, 3), (4, 5, 6))


def test_numbers_before_the_names_are_the_ids(tmp_path):
    assert written(tmp_path, "classes.txt", "1 crack\n0 background (defect free)\n255: ignore\n").ids == (1, 0)


@pytest.mark.parametrize(
    ("plain", "names", "ids", "void"),
    [
        (["a", "void", "b"], ("a", "b"), (0, 2), (1,)),
        ({"names": ["a", "b"], "void": ["dirt"]}, ("a", "b"), (0, 1), ()),
        ({"names": ["a", "dirt", "b"], "void": ["dirt"]}, ("a", "b"), (0, 2), (1,)),
        (
            {"classes": [{"name": "a", "id": 7}, {"name": "b", "id": 3}, {"name": "x", "id": 0, "void": True}]},
            ("a", "b"),
            (7, 3),
            (0,),
        ),
    ],
)
def test_json_forms(plain, names, ids, void, tmp_path):
    coding = written(tmp_path, "classes.json", json.dumps(plain))
    assert (coding.classes.names, coding.ids, coding.void) == (names, ids, void)


def test_json_objects_bring_colours_and_things(tmp_path):
    plain = [{"name": "car", "colour": [1, 2, 3], "thing": True}, {"name": "sky", "color": "#0a0B0c", "isthing": 0}]
    classes = written(tmp_path, "classes.json", json.dumps(plain)).classes
    assert classes == ClassSet(("car", "sky"), ((1, 2, 3), (10, 11, 12)), things=("car",))


def test_the_dictionary_of_a_class_set_is_a_class_file(tmp_path):
    classes = ClassSet(("a", "b", "c"), things=("b",), void=("x", "y"), groups=(("a", "b"), ("c",)), nothing=True)
    assert written(tmp_path, "classes.json", json.dumps(classes.to_dict())).classes == classes
    (tmp_path / "classes.json").write_bytes(write_classes(Coding(classes, (4, 5, 6), (9, 8), (0,))))
    assert read_classes(tmp_path / "classes.json") == Coding(classes, (4, 5, 6), (9, 8), (0,))


@pytest.mark.parametrize(
    ("name", "text"), [("classes.json", "{"), ("codes.txt", ""), ("codes.txt", "a\nb\na\n"), ("codes.txt", "a\n\nb\n")]
)
def test_what_is_no_class_file_says_what_is(name, text, tmp_path):
    with pytest.raises(LabelError) as caught:
        written(tmp_path, name, text)
    assert f"{name}: expected names, or 'id name', one per line (.txt)" in str(caught.value)
    assert "received" in str(caught.value)


def test_the_nearest_class_file_above_is_taken(tmp_path):
    (tmp_path / "codes.txt").write_text("sky\nroad\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert coding_near(tmp_path / "a" / "b").void == (255,)
    assert coding_near(tmp_path / "a" / "b").classes.names == ("sky", "road")
    with pytest.raises(LabelError, match="in the folder, received none. Write codes.txt"):
        coding_near(tmp_path / "a", above=0)


def test_ids_that_mean_two_things_are_refused():
    with pytest.raises(LabelError, match="3 distinct ids"):
        Coding(ClassSet(("a", "b", "c")), (0, 1, 2), void=(2,))


@given(hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([2, 5, 9, 100, 101])))
def test_ids_to_segments_and_back(ids):
    coding = Coding(ClassSet(("a", "b", "c")), (9, 2, 5), void=(100,), nothing=(101,))
    np.testing.assert_array_equal(coding.labels(coding.segments(ids)), ids)
    meaning = {9: 0, 2: 1, 5: 2, 100: -1, 101: 3}
    np.testing.assert_array_equal(coding.segments(ids).semantic(3), np.vectorize(meaning.get)(ids))


@pytest.mark.parametrize("strange", [-1, 4, 65536, 2**31 - 1])
def test_wide_and_negative_ids_are_named(strange):
    with pytest.raises(LabelError, match=rf"x.tif: expected ids of the 1 classes \(0\), received {strange}\."):
        Coding(ClassSet(("a",)), (0,)).segments(np.array([[0, strange]], np.int32), "x.tif")
