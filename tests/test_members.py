"""The public names, pinned: to take one away or to add one is a decision, and shows here."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from types import FunctionType

import pytest

import intarsia
from intarsia.core.catalogue import PACKAGE, find, members

FACE = [
    "ClassSet", "Dataset", "Run", "Sample", "Segments", "TrainOptions", "compare", "convert", "demo", "doctor", "download",
    "evaluate", "evaluate_folders", "fine_tune", "list_models", "load", "look", "lr_find", "open_dataset", "open_image",
    "open_mask", "plan", "predict", "reproduce", "resume", "scenes", "split", "train",
]  # fmt: skip
NOUNS = [
    "Batch", "ClassSet", "Dense", "Image", "Output", "Pixels", "Predictor", "Queries", "Regions", "Sample", "Scorer", "Segments",
    "Targets",
]  # fmt: skip
COMMANDS = [
    "demo", "look", "download", "doctor", "plan", "split", "convert", "train", "fine-tune", "resume", "lr-find", "evaluate",
    "compare", "predict", "reproduce", "models",
]  # fmt: skip
FAMILIES = ["data.doctor", "data.formats", "transforms", "models", "losses", "decode", "metrics", "draw"]
MODULES = sorted(
    "intarsia." + path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
    for path in PACKAGE.rglob("*.py")
    if not path.stem.startswith("_")
)


def test_the_face_is_pinned() -> None:
    assert sorted(intarsia.__all__) == FACE
    assert sorted(import_module("intarsia.api").__all__) == FACE
    assert set(FACE) <= set(dir(intarsia))


def test_type_checkers_see_the_face_too() -> None:
    """What stands under TYPE_CHECKING, which never runs, is the list that does."""
    tree = ast.parse(inspect.getsource(intarsia))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    [imported] = block.body
    assert isinstance(imported, ast.ImportFrom)
    assert imported.module == "intarsia.api"
    assert [alias.name for alias in imported.names if alias.asname is None] == intarsia.__all__


def test_every_name_of_the_face_is_there_and_described() -> None:
    for name in FACE:
        assert inspect.getdoc(getattr(intarsia, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'intarsia' has no attribute 'trian'"):
        intarsia.trian  # noqa: B018


def test_the_nouns_are_pinned() -> None:
    assert sorted(import_module("intarsia.core").__all__) == NOUNS


def test_the_commands_are_pinned() -> None:
    assert list(import_module("intarsia.cli").COMMANDS) == COMMANDS


@pytest.mark.parametrize(("family", "name"), [(family, name) for family in FAMILIES for name in members(family)])
def test_members_are_found_by_name_and_described(family: str, name: str) -> None:
    member, module = find(family, name), import_module(f"intarsia.{family}.{name}")
    if isinstance(member, type | FunctionType):
        assert member.__module__ == module.__name__  # its own, not one passed on
        assert inspect.getdoc(member)
    assert inspect.getdoc(module)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_lists_names_that_it_has(module: str) -> None:
    loaded = import_module(module)
    assert loaded.__doc__
    assert loaded.__all__, f"{module} offers nothing"
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
