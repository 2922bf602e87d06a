"""A run, run again, and the difference told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import CheckpointError
from intarsia.core.files import write_json
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.training import start

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.engine.run import Run

__all__ = ["reproduce_run"]


def reproduce_run(run: Run, folder: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Trains again into `folder` and returns, and writes to reproduction.json there: the versions that differ, each scalar score of
    before and now, and the largest difference of any weight.
    """
    if not run.done:
        raise CheckpointError(
            str(run.folder), expected="a finished run", received="one under way", hint=f"`intarsia resume {run.folder}` first."
        )
    again = start(run.open_data(), replace(run.options, out=str(folder)), quiet=quiet)
    before, now = (read_tensors(one.last)[0] for one in (run, again))
    versions = {
        name: [version, again.facts["versions"].get(name)]
        for name, version in run.facts["versions"].items()
        if version != again.facts["versions"].get(name)
    }
    scores = {
        name: [value, again.metrics[name], again.metrics[name] - value]
        for name, value in run.metrics.items()
        if isinstance(value, float) and isinstance(again.metrics.get(name), float)
    }
    report = {
        "run": str(run.folder),
        "again": str(again.folder),
        "data_hash": run.facts["data_hash"],
        "versions_that_differ": versions,
        "scores": scores,
        "largest_weight_difference": max(float((before[name].double() - now[name].double()).abs().max()) for name in before),
    }
    write_json(folder / "reproduction.json", report)
    return report
