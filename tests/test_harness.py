"""The test suite's own promises: conftest.py and the warning filter, tried on a suite of three tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent

SUITE = """
import pytest, warnings

@pytest.mark.data
def test_real(data_dir):
    assert data_dir.is_dir()

@pytest.mark.data
@pytest.mark.slow
def test_real_and_slow():
    pass

def test_plain():
    pass
"""


def run(folder: Path, *options: str, data: str | None = None) -> subprocess.CompletedProcess[str]:
    """pytest on the suite in `folder`, with our conftest and our settings."""
    settings = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    filters = "\n  ".join(settings["filterwarnings"])
    markers = "\n  ".join(settings["markers"])
    (folder / "pytest.ini").write_text(f"[pytest]\nfilterwarnings =\n  {filters}\nmarkers =\n  {markers}\n")
    (folder / "conftest.py").write_text((HERE / "conftest.py").read_text())
    environment = {name: value for name, value in os.environ.items() if name != "INTARSIA_DATA" and "PYTEST" not in name}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a quicker start
    if data is not None:
        environment["INTARSIA_DATA"] = data
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")])
def test_without_real_data_one_line_says_so(tmp_path: Path, workers: tuple[str, ...]) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    result = run(tmp_path, *workers, "-m", "not slow")
    assert result.returncode == 0
    assert result.stdout.count("not run: 1 tests, set INTARSIA_DATA") == 1
    assert "1 passed" in result.stdout
    assert "skipped" not in result.stdout


def test_with_real_data_all_run(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    result = run(tmp_path, data=str(tmp_path))
    assert "3 passed" in result.stdout
    assert "not run" not in result.stdout


def test_named_but_missing_data_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    result = run(tmp_path, data=str(tmp_path / "nowhere"))
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"INTARSIA_DATA: expected a folder, received '{tmp_path / 'nowhere'}', which is not there" in result.stderr


def test_warnings_of_intarsia_are_errors_and_those_of_others_not(tmp_path: Path) -> None:
    for name in ("intarsia_like", "intarsia"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "ops.py").write_text("import warnings\ndef warn():\n    warnings.warn('careful')\n")
    (tmp_path / "test_ours.py").write_text("def test_ours():\n    from intarsia.ops import warn\n    warn()\n")
    (tmp_path / "test_theirs.py").write_text("def test_theirs():\n    from intarsia_like.ops import warn\n    warn()\n")
    result = run(tmp_path)
    assert "UserWarning: careful" in result.stdout
    assert "FAILED test_ours.py::test_ours" in result.stdout
    assert "1 failed, 1 passed, 1 warning" in result.stdout
