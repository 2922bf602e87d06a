"""The tree of exceptions: drawn, raised, pickled, and what their texts say."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from intarsia.core import errors
from intarsia.core.errors import DatasetNotFound, IntarsiaError, MissingExtra, nearest

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, IntarsiaError)]


def test_the_tree_drawn_in_the_module_is_the_tree():
    parents = {}
    branch = [IntarsiaError]
    for line in errors.__doc__.splitlines():
        if drawn := re.match(r"([│ ]*)[├└]── (\w+)", line):
            depth = len(drawn[1]) // 4
            kind = getattr(errors, drawn[2])
            branch = [*branch[: depth + 1], kind]
            parents[kind] = branch[depth]
    assert set(parents) == set(KINDS) - {IntarsiaError}
    for kind, parent in parents.items():
        assert kind.__bases__[0] is parent


@pytest.mark.parametrize("kind", KINDS)
def test_each_says_expected_received_and_what_to_do_and_travels_between_processes(kind):
    options = {"extra": "geo"} if kind is MissingExtra else {"expected": "an int", "received": "'x'", "hint": "Give a number."}
    text = {
        MissingExtra: "reading x: expected the optional packages of 'geo'. Run: pip install 'intarsia[geo]'",
    }.get(kind, "reading x: expected an int, received 'x'. Give a number.")
    error = kind("reading x", **options)
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, text)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "masks"),
        ({"expected": 3}, "masks: expected 3"),
        ({"received": 0}, "masks: received 0"),
        ({"hint": "Look there."}, "masks. Look there."),
    ],
)
def test_facts_that_are_not_given_are_not_printed(facts, text):
    assert str(IntarsiaError("masks", **facts)) == text


def test_a_missing_folder_is_a_file_not_found():
    with pytest.raises(FileNotFoundError, match="camvid: expected a folder"):
        raise DatasetNotFound("camvid", expected="a folder")


def test_nearest():
    assert nearest("unnet", ["unet", "fcn"]) == "Did you mean 'unet'?"
    assert nearest("zzz", iter(["unet", "fcn"])) == "Known: unet, fcn."
