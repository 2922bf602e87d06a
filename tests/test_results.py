"""The pages of docs/results say what the counts that are kept beside them say."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from intarsia.engine.saved import read_counts

RESULTS = Path(__file__).parents[1] / "docs" / "results"
EXPERIMENTS = runpy.run_path(str(RESULTS / "experiments.py"))


@pytest.mark.parametrize("experiment", EXPERIMENTS["EXPERIMENTS"])
def test_the_tables_follow_from_the_counts(experiment: str) -> None:
    page = (RESULTS / f"{experiment}.md").read_text(encoding="utf-8")
    table, commands = EXPERIMENTS["tables"](experiment).split("\n\n")
    assert len(table.splitlines()) == 2 + len(EXPERIMENTS["EXPERIMENTS"][experiment].runs)
    assert table in page
    assert commands in page


def test_the_table_of_the_plans_follows_from_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(RESULTS), *sys.path])
    plans = runpy.run_path(str(RESULTS / "plans.py"))
    table = plans["tables"]()
    assert len(table.splitlines()) == 2 + len(plans["SETS"])
    assert table in (RESULTS / "plans.md").read_text(encoding="utf-8")


def test_the_table_of_the_objects_follows_from_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(RESULTS), *sys.path])
    objects = runpy.run_path(str(RESULTS / "objects.py"))
    table = objects["tables"]()
    assert table in (RESULTS / "objects.md").read_text(encoding="utf-8")
    kept = sorted(path.parent for path in (RESULTS / "objects").glob("*/*/counts.npz"))
    assert len(kept) == len(table.splitlines()) - 2
    for folder in kept:
        measures, _ = read_counts(folder)
        scores = json.loads((folder / "scores.json").read_text())
        assert measures.compute(intervals=0)[measures.headline] == pytest.approx(scores[measures.headline])
