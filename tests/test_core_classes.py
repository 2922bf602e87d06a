"""ClassSet: names, colours, groups, and matching by name."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.core import ClassSet
from intarsia.core.classes import default_colours
from intarsia.core.errors import InvalidNoun, OptionError

NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8, unique=True).filter(lambda names: "void" not in names)


@st.composite
def class_sets(draw):
    names = draw(NAMES)
    cut = draw(st.integers(0, len(names)))
    return ClassSet(
        names,
        colours=draw(st.sampled_from([(), [(9, 8, index) for index in range(len(names))]])),
        things=draw(st.lists(st.sampled_from(names), unique=True)),
        groups=[group for group in (names[cut:], names[:cut]) if group],
        nothing=draw(st.booleans()),
    )


@given(class_sets())
def test_json_and_pickle_give_it_back(classes):
    assert ClassSet.from_dict(json.loads(json.dumps(classes.to_dict()))) == classes
    again = pickle.loads(pickle.dumps(classes))
    assert again == classes
    assert hash(again) == hash(classes)
    assert again.index_of == classes.index_of


@given(class_sets(), class_sets())
def test_classes_are_matched_by_name_never_by_position(one, other):
    for index, target in enumerate(one.table_to(other)):
        if target < 0:
            assert one.names[index] not in other.names
        else:
            assert other.names[target] == one.names[index]


@given(class_sets())
def test_groups_hold_each_class_once(classes):
    assert sorted(name for group in classes.groups for name in group) == sorted(classes.names)
    assert ClassSet(classes.names).groups == (classes.names,)


def test_the_colours_of_pascal_voc():
    """From the VOC devkit's own map: aeroplane, bicycle, bird, boat, ..., tvmonitor is entry 20."""
    colours = default_colours(20)
    assert colours[:4] == ((128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert colours[19] == (0, 64, 128)
    many = default_colours(1000)
    assert len(set(many)) == 1000
    assert (0, 0, 0) not in many


def test_nothing_is_one_more_channel_not_one_more_class():
    assert (len(ClassSet(("cell",), nothing=True)), ClassSet(("cell",), nothing=True).channels) == (1, 2)
    assert ClassSet(("a", "b")).channels == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"names": ()}, r"ClassSet names: expected at least one non-empty name, received \[\]"),
        ({"names": ("a", "")}, "at least one non-empty name"),
        ({"names": ("a", 3)}, "at least one non-empty name"),
        ({"names": "road"}, "ClassSet names: expected a list of names, received 'road'"),
        ({"things": "b"}, "ClassSet things: expected a list of names, received 'b'"),
        ({"names": ("a", "b", "a")}, r"ClassSet names: expected each name once, received \['a'\] more than once"),
        ({"colours": [(0, 0, 0)]}, r"ClassSet colours: expected 2 triples of 0\.\.255, received 1"),
        ({"colours": [(0, 0, 0), (0, 0, 256)]}, r"2 triples of 0\.\.255, received 2: .*256"),
        ({"groups": [["a"]]}, r"ClassSet groups: expected each of \['a', 'b'\] in one group"),
        ({"groups": [["a", "b"], ["b"]]}, "in one group"),
        ({"things": ["c"]}, r"ClassSet things: expected names among \['a', 'b'\], received \['c'\]"),
        ({"void": ["b"]}, r"ClassSet void: expected names that are no classes, received \['b'\]"),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(InvalidNoun, match=text):
        ClassSet(**{"names": ("a", "b")} | arguments)


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(OptionError, match=r"class 'raod': expected a name of the class set. Did you mean 'road'\?"):
        ClassSet(("sky", "road")).index("raod")
