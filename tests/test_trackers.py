"""Trackers and the progress display: what ends up on disk, in the services and on the screen."""

from __future__ import annotations

import csv
import io
import sys
from types import SimpleNamespace

import pytest

from intarsia.core.errors import MissingExtra
from intarsia.engine.options import TrainOptions
from intarsia.engine.progress import Progress
from intarsia.engine.trackers import csv_log, trackers

ROWS = [
    {"epoch": 1.0, "loss": 0.9, "val_mean_iou": 0.2},
    {"epoch": 2.0, "loss": 0.5},
    {"epoch": 3.0, "loss": 0.4, "val_mean_iou": 0.6},
]


def read(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_csv_has_each_row_at_once(tmp_path):
    log = csv_log(tmp_path / "metrics.csv")
    for count, row in enumerate(ROWS, start=1):
        log(row)
        assert len(read(tmp_path / "metrics.csv")) == count
    assert (tmp_path / "metrics.csv").read_text() == "epoch,loss,val_mean_iou\n1.0,0.9,0.2\n2.0,0.5,\n3.0,0.4,0.6\n"


def test_csv_grows_a_column_and_keeps_the_rows(tmp_path):
    log = csv_log(tmp_path / "metrics.csv")
    log(ROWS[1])
    log(ROWS[2])
    assert (tmp_path / "metrics.csv").read_text() == "epoch,loss,val_mean_iou\n2.0,0.5,\n3.0,0.4,0.6\n"


def test_csv_of_a_resumed_run_holds_the_rows_of_its_state_alone(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,loss\n1.0,0.9\n2.0,0.5\n3.0,0.4\n4.0,")  # killed while writing; its state stands at epoch 1
    log = csv_log(path)
    assert path.read_text().endswith("4.0,")  # nothing is lost before there is a row to replace it
    log(ROWS[0])
    log(ROWS[1])
    assert [row["epoch"] for row in read(path)] == ["1.0", "2.0"]


def test_csv_alone_unless_more_is_asked_for(tmp_path):
    (only,) = trackers(tmp_path, TrainOptions())
    assert not list(tmp_path.iterdir())  # nothing is opened before the first row
    only(ROWS[0])
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_tensorboard_holds_each_epoch_once_after_a_resume(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for rows in (ROWS, ROWS):  # the second process is told the rows again
        _, log = trackers(tmp_path, TrainOptions(track=("tensorboard",)))
        for row in rows:
            log(row)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["scalars"] == ["loss", "val_mean_iou"]
    assert [(event.step, round(event.value, 3)) for event in events.Scalars("loss")] == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert [event.step for event in events.Scalars("val_mean_iou")] == [1, 3]


def fake_wandb(served):
    """The part of wandb that is used, its server being the dictionary `served`: id -> rows."""

    class Run:
        def __init__(self, id):
            self.rows = served.setdefault(id, [])
            self.step = len(self.rows) and self.rows[-1][0] + 1

        def log(self, row, step):
            assert step >= self.step, "wandb drops a step that is past"
            self.rows.append((step, row))
            self.step = step

    module = SimpleNamespace(run=None, asked=[])

    def init(**asked):
        module.asked.append(asked)
        module.run = Run(asked["id"])
        return module.run

    module.init = init
    module.finish = lambda: setattr(module, "run", None)
    return module


def test_wandb_goes_on_with_its_run(tmp_path, monkeypatch):
    served = {}
    wandb = fake_wandb(served)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    options = TrainOptions(track=("wandb",), epochs=3)
    for rows in (ROWS[:2], ROWS):
        _, log = trackers(tmp_path / "run", options)
        for row in rows:
            log(row)
    ((_, rows),) = served.items()  # one run, not two
    assert [step for step, _ in rows] == [1, 2, 3]
    assert rows[2][1] == ROWS[2]
    asked = wandb.asked[0]
    assert asked["config"]["epochs"] == 3
    assert (asked["project"], asked["name"], asked["resume"]) == ("intarsia", "run", "allow")


def fake_mlflow(served):
    """The part of mlflow that is used, its server being the dictionary `served`: id -> rows and parameters."""
    module = SimpleNamespace(active=None)

    def start_run(run_id=None, run_name=None):
        assert module.active is None, "mlflow refuses a second active run"
        run_id = run_id or f"run-{len(served)}"
        module.active = served.setdefault(run_id, {"name": run_name, "rows": [], "params": []})
        latest = {name: value for _, row in module.active["rows"] for name, value in row.items()}
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id), data=SimpleNamespace(metrics=latest))

    module.start_run = start_run
    module.active_run = lambda: module.active
    module.end_run = lambda: setattr(module, "active", None)
    module.set_experiment = lambda name: setattr(module, "experiment", name)
    module.log_params = lambda params: module.active["params"].append(params)
    module.log_metrics = lambda row, step: module.active["rows"].append((step, row))
    return module


def test_mlflow_goes_on_with_its_run(tmp_path, monkeypatch):
    served = {}
    mlflow = fake_mlflow(served)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    options = TrainOptions(track=("mlflow",), seed=4)
    for rows in (ROWS[:2], [*ROWS, {"epoch": 4.0, "iou(car)": 0.5}]):
        _, log = trackers(tmp_path / "run", options)
        for row in rows:
            log(row)
    (run,) = served.values()
    assert [step for step, _ in run["rows"]] == [1, 2, 3, 4]
    assert run["rows"][3][1] == {"epoch": 4.0, "iou_car_": 0.5}
    assert [params["seed"] for params in run["params"]] == [4]
    assert (mlflow.experiment, run["name"]) == ("intarsia", "run")


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow")])
def test_a_tracker_that_is_not_installed_names_the_extra(name, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"--track {name}: .*pip install 'intarsia\[track\]'"):
        trackers(tmp_path, TrainOptions(track=(name,)))


class Screen(io.StringIO):
    def isatty(self):
        return True


def run_epoch(progress, wait):
    progress.start_epoch(0)
    for _ in range(2):
        progress.step(loss=0.75, lr=0.01, wait=wait, busy=2.0, images=8)


def test_plain_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    with Progress(3, 2, stream=stream) as progress:
        run_epoch(progress, wait=0.2)
        progress.end_epoch({"epoch": 1, "loss": 0.75, "lr": 0.01, "seconds": 4.0}, "class  iou\nroad   0.5")
    assert stream.getvalue() == (
        "epoch 1/3  loss 0.75  lr 0.01  4.0 images/s  data wait 10 %  took 0:00:04\nclass  iou\nroad   0.5\n"
    )


def test_time_left_goes_by_this_epoch():
    progress = Progress(3, 2, stream=io.StringIO())
    run_epoch(progress, wait=0.0)
    assert progress.seconds_left() == 2 * 2 * 2.0  # two epochs of two steps of two seconds
    progress.start_epoch(2, step=1)  # resumed in the middle of the last epoch
    progress.step(loss=1.0, lr=0.1, wait=0.0, busy=5.0, images=1)
    assert progress.seconds_left() == 0


def test_a_terminal_gets_a_live_bar_and_the_same_line():
    stream = Screen()
    with Progress(1, 2, stream=stream) as progress:
        run_epoch(progress, wait=0.2)
        progress.live.refresh()
        progress.end_epoch({"epoch": 1, "loss": 0.75}, "class [iou]")
    text = stream.getvalue()
    assert "epoch 1/1" in text
    assert "2/2" in text
    assert "data wait 10 %  0:00:00" in text  # all of it fits into 80 columns
    assert "class [iou]" in text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x1b[" in text


def test_quiet_shows_nothing():
    stream = Screen()
    with Progress(1, 2, quiet=True, stream=stream) as progress:
        run_epoch(progress, wait=1.0)
        progress.end_epoch({"epoch": 1, "loss": 0.75}, "table")
    assert stream.getvalue() == ""
