"""Every block of Python in README.md and docs/ runs, those of one page one after the other, in an empty folder."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
VERB = re.compile(r"^intarsia ([a-z-]+)(.*?)(?:#.*)?$", flags=re.MULTILINE)

WITH_PYTHON = [page for page in PAGES if BLOCK.search(page.read_text())]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import intarsia

    monkeypatch.chdir(tmp_path)
    from intarsia.data.images import write_image

    write_image(tmp_path / "street.jpg", intarsia.scenes(3, seed=5, size=(64, 96))[0].image)
    text = page.read_text()
    names: dict[str, object] = {"__name__": "page"}
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        exec(compile("\n" * line + match[1], str(page), "exec"), names)  # a failure names the page and its line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing, f"{name(page)}: no file behind {missing}"


def test_shown_commands_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shown command line names a verb, and options that this verb's help knows."""
    import contextlib
    import io

    from intarsia.cli import COMMANDS, main

    shown = {match for page in PAGES for match in VERB.findall(page.read_text())}
    assert {verb for verb, _ in shown} >= set(COMMANDS) - {"demo"}  # which is shown as make demo
    monkeypatch.setenv("COLUMNS", "200")
    for verb, rest in sorted(shown):
        help_text = io.StringIO()
        with contextlib.redirect_stdout(help_text):
            assert main([verb, "--help"]) == 0, verb
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in help_text.getvalue(), f"intarsia {verb} has no {option}"


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme


def committed() -> list[Path]:
    """The files of git, or without it what stands in the folders that git would hold."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / file for file in listed.stdout.split("\0") if file]
    folders = (ROOT / folder for folder in ("src", "tests", "benchmarks", "docs", ".ci"))
    found = [*ROOT.glob("*"), *(path for folder in folders for path in folder.rglob("*"))]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def named_places(text: str) -> list[str]:
    """Paths that only one machine has."""
    return re.findall(r"(?<![\w/.])/(?:work|home|root|tmp)/[\w.-]*", text)


def test_what_is_committed_names_no_other_machine() -> None:
    guilty = {}
    for path in committed():
        try:
            found = named_places(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, FileNotFoundError):  # a picture; a file deleted and not yet committed
            continue
        if found:
            guilty[name(path)] = found
    assert not guilty


def test_places_are_recognised() -> None:
    for place in ("wo" + "rk", "ho" + "me", "ro" + "ot", "tm" + "p"):
        assert named_places(f'open("/{place}/a.png")') == [f"/{place}/a.png"]
    assert named_places("src/home/a.png, https://example.org/work/a.png") == []


def test_code_is_searched_as_well_with_git_or_without(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        Path(__file__),
        *(ROOT / file for file in ("Makefile", "pyproject.toml", "README.md", "src/intarsia/api/data.py", ".ci/run")),
    }
    assert wanted <= set(committed())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=128))
    assert wanted <= set(committed())
