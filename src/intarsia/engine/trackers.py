"""Where the numbers of each epoch go: metrics.csv always, TensorBoard, Weights & Biases and MLflow where asked for.

A tracker is a plain function that takes the row of an epoch: `{"epoch": 1, "loss": 0.7, ...}`, epochs counted from 1. A resumed
training first tells each tracker the rows it had before; none of them ends up with an epoch twice. Nothing is opened before the
first row, so that of several processes only the one that reports makes files and connections.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from intarsia.core.errors import MissingExtra
from intarsia.core.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from intarsia.engine.options import TrainOptions

    Row = Mapping[str, float]
    Tracker = Callable[[Row], None]

__all__ = ["csv_log", "mlflow", "tensorboard", "trackers", "wandb"]


def trackers(folder: Path, options: TrainOptions) -> tuple[Tracker, ...]:
    """The CSV of a run folder and what `options.track` names; raises MissingExtra for one that is not installed."""
    named = {"tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow}
    return csv_log(folder / "metrics.csv"), *(named[name](folder, options) for name in options.track)


def csv_log(path: Path) -> Tracker:
    """A line per row, on disk at once. The first row replaces an older file; a new column makes the file be written anew, whole."""
    rows: list[Row] = []
    columns: list[str] = []

    def text(part: list[Row], *, header: bool) -> str:
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(part)
        return buffer.getvalue()

    def log(row: Row) -> None:
        rows.append(dict(row))
        if len(rows) > 1 and set(row) <= set(columns):
            with path.open("a", encoding="utf-8", newline="") as handle:
                handle.write(text([row], header=False))
        else:
            columns.extend(name for name in row if name not in columns)
            with whole_file(path) as draft:
                draft.write_text(text(rows, header=True), encoding="utf-8", newline="")

    return log


def tensorboard(folder: Path, options: TrainOptions) -> Tracker:
    """Scalars in an events file of the run folder: `tensorboard --logdir runs`."""
    summary_writer = _installed("torch.utils.tensorboard", "tensorboard").SummaryWriter

    @cache
    def writer() -> Any:
        return summary_writer(str(folder), purge_step=0)  # hides the events of before the resume, which come again

    def log(row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                writer().add_scalar(name, value, int(row["epoch"]))
        writer().flush()

    return log


def wandb(folder: Path, options: TrainOptions) -> Tracker:
    """A run of the W&B project `intarsia`, gone on with after a resume; WANDB_* variables choose server and mode."""
    wandb = _installed("wandb", "wandb")

    @cache
    def run() -> Any:
        if wandb.run is not None:
            wandb.finish()  # an earlier training of this process
        path = folder / "wandb.id"
        if not path.exists():
            with whole_file(path) as draft:
                draft.write_text(uuid4().hex[:8])
        name = path.read_text()
        return wandb.init(project="intarsia", name=folder.name, id=name, resume="allow", dir=str(folder), config=asdict(options))

    def log(row: Row) -> None:
        if row["epoch"] >= run().step:  # W&B takes no step twice
            run().log(dict(row), step=int(row["epoch"]))

    return log


def mlflow(folder: Path, options: TrainOptions) -> Tracker:
    """A run of the MLflow experiment `intarsia`, gone on with after a resume; MLFLOW_TRACKING_URI says where."""
    mlflow = _installed("mlflow", "mlflow")

    @cache
    def last_epoch() -> float:
        """Opens the run, and says how far it had come."""
        if mlflow.active_run() is not None:
            mlflow.end_run()  # an earlier training of this process
        mlflow.set_experiment("intarsia")
        path = folder / "mlflow.id"
        if path.exists():
            run = mlflow.start_run(run_id=path.read_text())
        else:
            run = mlflow.start_run(run_name=folder.name)
            mlflow.log_params(asdict(options))
            with whole_file(path) as draft:
                draft.write_text(run.info.run_id)
        return float(run.data.metrics.get("epoch", 0))

    def log(row: Row) -> None:
        if row["epoch"] > last_epoch():
            allowed = {re.sub(r"[^\w\-. /]", "_", name): value for name, value in row.items()}  # MLflow refuses other characters
            mlflow.log_metrics(allowed, step=int(row["epoch"]))

    return log


def _installed(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"--track {name}", extra="track") from error
