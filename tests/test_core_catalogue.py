"""The folder listing is the registry."""

from __future__ import annotations

import pytest

from intarsia.core import catalogue
from intarsia.core.catalogue import find, members
from intarsia.core.errors import OptionError


@pytest.fixture
def family(tmp_path, monkeypatch):
    """intarsia.shapes with two members, a private file and a sub-package."""
    folder = tmp_path / "intarsia_fake" / "shapes"
    (folder / "inner").mkdir(parents=True)
    for file in ("__init__.py", "_shared.py", "inner/__init__.py"):
        (folder / file).write_text("")
    (folder / "square.py").write_text('__all__ = ["Square", "SIDES"]\nSIDES = 4\nclass Square: ...\n')
    (folder / "circle.py").write_text("raise RuntimeError('imported too early')\n")
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path / "intarsia_fake")
    monkeypatch.setattr(catalogue, "import_module", lambda name: _load(folder, name))


def _load(folder, name):
    from types import ModuleType

    module = ModuleType(name)
    exec((folder / f"{name.rpartition('.')[2]}.py").read_text(), vars(module))
    return module


@pytest.mark.usefixtures("family")
def test_members_are_the_files_without_importing_any():
    assert members("shapes") == ["circle", "square"]


@pytest.mark.usefixtures("family")
def test_find_gives_the_first_public_name():
    assert find("shapes", "square").__name__ == "Square"


@pytest.mark.usefixtures("family")
def test_an_error_inside_a_member_is_shown_as_it_is():
    with pytest.raises(RuntimeError, match="imported too early"):
        find("shapes", "circle")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("segmants", r"core 'segmants': expected one of the catalogue. Did you mean 'segments'\?"),
        ("_private", r"core '_private': expected one of the catalogue. Known: batch, catalogue"),
        ("nowhere_at_all:Name", r"expected an importable 'package.module:Name', received No module named 'nowhere_at_all'"),
        ("json:Missing", r"core 'json:Missing': .* received module 'json' has no attribute 'Missing'"),
        (":Name", r"core ':Name': expected an importable 'package.module:Name', received Empty module name"),
    ],
)
def test_names_that_lead_nowhere(name, text):
    with pytest.raises(OptionError, match=text):
        find("core", name)


def test_outside_code_is_named_by_module_and_attribute():
    import json

    assert find("models", "json:dumps") is json.dumps
