"""The pages of docs/results say what the counts that are kept beside them say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SCRIPT = runpy.run_path(str(RESULTS / "experiments.py"))


@pytest.mark.parametrize("experiment", [name for name in SCRIPT["EXPERIMENTS"] if (RESULTS / f"{name}.md").exists()])
def test_the_tables_follow_from_the_counts(experiment: str) -> None:
    page = (RESULTS / f"{experiment}.md").read_text(encoding="utf-8")
    table, commands = SCRIPT["tables"](experiment).split("\n\n")
    assert len(table.splitlines()) > 3
    assert table in page
    assert commands in page
