"""The loop: it learns, it resumes exactly after SIGKILL, and no split into micro-batches or processes moves it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import intarsia
from intarsia.core import ClassSet, Dense, Sample, Segments, Targets
from intarsia.core.errors import CheckpointError, DataError, IntarsiaError
from intarsia.data.dataset import Dataset
from intarsia.data.images import read_labels, write_labels
from intarsia.engine.averaging import averaged
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.demo import write_scenes
from intarsia.engine.devices import accelerator_for
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.optimisers import set_rate
from intarsia.engine.options import TrainOptions
from intarsia.engine.train import accumulated_step
from intarsia.losses.dice import dice_loss
from intarsia.losses.focal import focal_loss
from two_processes import uneven_data

TINY = {
    "model": "unet",
    "model_args": {"widths": (4, 8), "dropout": 0.1},
    "batch_size": 4,
    "device": "cpu",
    "precision": "fp32",
    "lr": 1e-2,
}


def folder_of_scenes(path: Path, train: int = 12, val: int = 4) -> Path:
    write_scenes(path, train + val, size=(32, 40), val=val / (train + val), test=0)
    return path


def start(data: Path, out: Path, **options) -> subprocess.Popen:
    code = f"import intarsia; intarsia.train({str(data)!r}, out={str(out)!r}, quiet=True, **{options!r})"
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_killed_and_resumed_has_the_weights_of_one_never_killed(tmp_path, at):
    """Killed within an epoch of half size, or of whole size."""
    data = folder_of_scenes(tmp_path / "data", 24)
    options = {**TINY, "epochs": 4, "checkpoint_steps": 1, "ema": 0.9, "optimizer": "adamw", "half_size": 0.5, "accumulate": 1}
    whole = start(data, tmp_path / "whole", **options)
    assert whole.wait() == 0
    killed = start(data, tmp_path / "killed", **options)
    state = tmp_path / "killed" / "state.safetensors"
    while killed.poll() is None:
        reached = read_tensors(state)[1]["progress"] if state.exists() else {"epoch": 0}
        if reached["epoch"] == at and reached["step"] > 0:
            killed.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert killed.wait() == -signal.SIGKILL
    reached = read_tensors(state)[1]["progress"]
    assert (reached["epoch"], reached["step"] > 0) == (at, True), "not killed within the epoch it was to be"
    code = f"import intarsia; intarsia.resume({str(tmp_path / 'killed')!r}, quiet=True)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for name in ("last", "best"):
        once, twice = (read_tensors(tmp_path / run / "weights" / f"{name}.safetensors")[0] for run in ("whole", "killed"))
        assert once.keys() == twice.keys()
        assert all(torch.equal(once[key], twice[key]) for key in once), name
    rows = [
        [line.split(",")[:3] for line in (tmp_path / run / "metrics.csv").read_text().splitlines()] for run in ("whole", "killed")
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 5
    assert not list((tmp_path / "killed").rglob(".*.safetensors")), "a draft that the kill has left is still there"


def test_training_learns_and_leaves_what_the_run_folder_promises(tmp_path):
    data = intarsia.open_dataset(folder_of_scenes(tmp_path / "data", 16))
    seen = []
    run = intarsia.train(data, out=str(tmp_path / "run"), epochs=8, quiet=True, callbacks=[seen.append], **TINY)
    assert [row["epoch"] for row in seen] == [*range(1, 9)]
    assert seen[-1]["loss"] < 0.9 * seen[0]["loss"]
    assert run.metrics["mean_iou"] == pytest.approx(max(row["val_mean_iou"] for row in seen))
    names = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    promised = {"config.toml", "run.json", "metrics.csv", "metrics.json", "weights/best.safetensors", "weights/last.safetensors"}
    assert promised | {"state.safetensors", "curves.png", "train_batch.png", "val/scores.json", "val/confusion_matrix.png"} <= names
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["data_hash"] == data.fingerprint()
    assert facts["versions"]["torch"] == torch.__version__.split("+")[0] or facts["versions"]["torch"] == torch.__version__
    told = {"task": "semantic", "trained": "classes", "loss": {"cross_entropy": 1.0, "dice": 1.0}}
    assert run.options == TrainOptions(out=str(tmp_path / "run"), epochs=8, **told, **TINY)


def test_reproduce_gives_the_same_weights(tmp_path):
    run = intarsia.train(folder_of_scenes(tmp_path / "data"), out=str(tmp_path / "run"), epochs=2, quiet=True, **TINY)
    report = intarsia.reproduce(run, quiet=True)
    assert report["largest_weight_difference"] == 0
    assert report["versions_that_differ"] == {}
    assert {difference for _, _, difference in report["scores"].values()} == {0.0}
    assert (tmp_path / "run-reproduced" / "reproduction.json").is_file()


def test_changed_data_is_not_trained_on_again(tmp_path):
    data = folder_of_scenes(tmp_path / "data")
    run = intarsia.train(data, out=str(tmp_path / "run"), epochs=1, quiet=True, **TINY)
    mask = next(data.rglob("masks/train/*.png"))
    write_labels(mask, (read_labels(mask) == 0).astype("uint8"))
    with pytest.raises(DataError, match=r"received hash [0-9a-f]{32}: files were added, removed or changed"):
        intarsia.reproduce(run, quiet=True)


@pytest.fixture
def void_data():
    return uneven_data(8)


def weights_after(data, steps=3, **changes):
    options = TrainOptions(
        **{
            **TINY,
            "model": "plain_network:Plain",
            "model_args": {},
            "optimizer": "sgd",
            "augment": False,
            "loss": {"cross_entropy": 1.0},
            **changes,
        }
    )
    parts = Ingredients(data, options, accelerator_for(options))
    stream = parts.batches(parts.order(range(steps)))
    for _ in range(steps):
        set_rate(parts.optimiser, 0.1)
        accumulated_step(parts, [next(stream) for _ in range(options.accumulate)])
    return torch.cat([parameter.detach().flatten() for parameter in parts.bare.parameters()])


def test_half_size_halves_the_pictures_and_fraction_the_data(tmp_path):
    data = intarsia.open_dataset(folder_of_scenes(tmp_path / "data", 8))
    options = TrainOptions(**{**TINY, "fraction": 0.5, "batch_size": 2})
    parts = Ingredients(data, options, accelerator_for(options))
    assert len(parts.train_data) == 4
    sizes = [tuple(next(parts.batches(parts.order(range(1)), half=half)).images.shape[2:]) for half in (True, False)]
    assert sizes == [(16, 20), (32, 40)]


def test_what_is_asked_for_in_vain_is_told_before_a_run_folder_is_made(tmp_path):
    data = folder_of_scenes(tmp_path / "data", 8)
    for wrong in ({"model": "unett"}, {"model_args": {"width": [4]}}, {"loss": {"dise": 1.0}}, {"encoder": "resnet-eighteen"}):
        with pytest.raises(IntarsiaError):
            intarsia.train(data, **{**TINY, "out": str(tmp_path / "run"), "quiet": True, **wrong})
    assert not (tmp_path / "run").exists()


def test_a_run_under_way_is_not_reproduced(tmp_path):
    run = intarsia.train(folder_of_scenes(tmp_path / "data", 8), out=str(tmp_path / "run"), epochs=1, quiet=True, **TINY)
    (run.folder / "val" / "scores.json").unlink()
    with pytest.raises(CheckpointError, match=r"expected a finished run, received one under way. `intarsia resume"):
        intarsia.reproduce(run, quiet=True)


def test_class_weights_count_nothing_too(tmp_path):
    rng = np.random.default_rng(0)
    classes = ClassSet(("cell",), nothing=True)
    samples = [
        Sample(rng.integers(0, 256, (12, 12, 3), np.uint8), Segments((rng.random((1, 12, 12)) < 0.25).astype(int), [0]), str(i))
        for i in range(4)
    ]
    data = Dataset.from_samples(samples, classes, splits=dict.fromkeys("0123", "train"))
    options = TrainOptions(**TINY, class_weights="inverse")
    parts = Ingredients(data, options, accelerator_for(options))
    weights = parts.loss.losses[0].class_weights
    assert len(weights) == 2
    assert weights[0] > 2 * weights[1] > 0
    assert parts.loss_of(next(parts.batches(parts.order(range(1))))).item() > 0


def test_accumulation_equals_one_large_batch_also_where_void_differs(void_data):
    whole, parts = weights_after(void_data, batch_size=8), weights_after(void_data, batch_size=2, accumulate=4)
    assert torch.allclose(whole, parts, atol=1e-6)
    assert not torch.allclose(whole, weights_after(void_data, batch_size=4), atol=1e-4)


def test_clipping_bounds_the_step(void_data):
    free, clipped = (
        weights_after(void_data, steps=1, batch_size=8, momentum=0.0, weight_decay=0.0, clip_norm=norm) for norm in (0.0, 0.01)
    )
    start = weights_after(void_data, steps=0, batch_size=8)
    assert (clipped - start).norm() < 0.0011 < (free - start).norm()


def test_the_average_of_the_weights_follows_its_formula():
    network = torch.nn.Linear(1, 1, bias=False)
    ema = averaged(network, decay=0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 3.0, 4.0]):
        network.weight.data.fill_(value)
        ema.update_parameters(network)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = value if step == 0 else kept * expected + (1 - kept) * value
    assert ema.module.weight.item() == pytest.approx(expected)


def test_early_stop_ends_and_keeps_the_best(tmp_path):
    data = folder_of_scenes(tmp_path / "data")
    seen = []
    options = {**TINY, "lr": 1e-12, "epochs": 30, "early_stop": 2}
    run = intarsia.train(data, out=str(tmp_path / "run"), quiet=True, callbacks=[seen.append], **options)
    assert 3 <= len(seen) < 30
    best = max(range(len(seen)), key=lambda index: seen[index]["val_mean_iou"])
    assert len(seen) == best + 3
    assert run.metrics["epoch"] == best + 1


def test_a_loss_that_is_no_number_stops_with_advice(tmp_path):
    with pytest.raises(IntarsiaError, match=r"expected a finite loss, received (nan|inf)\. Lower --lr"):
        intarsia.train(
            folder_of_scenes(tmp_path / "data"),
            out=str(tmp_path / "run"),
            epochs=2,
            quiet=True,
            **{**TINY, "lr": 1e30, "optimizer": "sgd"},
        )


# -- a budget of time ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock finds it a second later, so that a step takes two."""
    ticks = iter(range(10**6))
    monkeypatch.setattr("intarsia.engine.train.perf_counter", lambda: float(next(ticks)))


def test_minutes_end_a_training_within_an_epoch_and_bend_its_schedule(tmp_path, clock):
    seen = []
    data = folder_of_scenes(tmp_path / "data")  # three steps an epoch
    options = {**TINY, "epochs": 100, "minutes": 33 / 60, "schedule": "poly", "warmup": 0.0}
    run = intarsia.train(data, out=str(tmp_path / "run"), callbacks=[seen.append], quiet=True, **options)
    progress = read_tensors(run.state)[1]["progress"]
    assert progress["trained"] == 34.0, "17 steps of two seconds, evaluations not counted"
    assert len(seen) == 6
    assert [row["lr"] for row in seen] == pytest.approx([1e-2 * (1 - 2 * step / 33) ** 0.9 for step in (2, 5, 8, 11, 14, 16)])
    assert "val_mean_iou" in seen[-1]
    assert run.done


def test_epochs_may_end_before_the_minutes(tmp_path, clock):
    seen = []
    data = folder_of_scenes(tmp_path / "data")
    options = {**TINY, "epochs": 2, "minutes": 60.0, "schedule": "poly", "warmup": 0.0}
    intarsia.train(data, out=str(tmp_path / "run"), callbacks=[seen.append], quiet=True, **options)
    assert [row["lr"] for row in seen] == pytest.approx([1e-2 * (1 - 2 / 6) ** 0.9, 1e-2 * (1 - 5 / 6) ** 0.9])


@pytest.mark.parametrize("at", [4, 15, 16])
def test_a_training_by_the_clock_goes_on_with_the_time_it_had_left(tmp_path, clock, monkeypatch, at):
    data = folder_of_scenes(tmp_path / "data")
    options = {**TINY, "epochs": 100, "minutes": 33 / 60, "checkpoint_steps": 1, "evaluate_every": 100, "quiet": True}
    whole = intarsia.train(data, out=str(tmp_path / "whole"), **options)
    loss_of, calls = Ingredients.loss_of, iter(range(1, 999))

    def broken(self, batch):
        if next(calls) > at:
            raise KeyboardInterrupt
        return loss_of(self, batch)

    monkeypatch.setattr(Ingredients, "loss_of", broken)
    with pytest.raises(KeyboardInterrupt, match=r"intarsia resume .*broken"):
        intarsia.train(data, out=str(tmp_path / "broken"), **options)
    monkeypatch.setattr(Ingredients, "loss_of", loss_of)
    assert read_tensors(tmp_path / "broken" / "state.safetensors")[1]["progress"]["trained"] == 2.0 * at
    resumed = intarsia.resume(tmp_path / "broken", quiet=True)
    assert read_tensors(resumed.state)[1]["progress"]["trained"] == 34.0
    once, twice = read_tensors(whole.last)[0], read_tensors(resumed.last)[0]
    assert all(torch.equal(once[name], twice[name]) for name in once)


# -- options of the losses -----------------------------------------------------------------------------------------------------


def test_options_reach_the_losses(void_data):
    options = TrainOptions(
        **TINY, loss={"focal": 1.0, "dice": 0.5}, loss_args={"focal.gamma": 3.0, "dice.smooth": 0.25}, aux_weight=0.7
    )
    loss = Ingredients(void_data, options, accelerator_for(options)).loss
    assert [type(one).__name__ for one in loss.losses] == ["Focal", "Dice"]
    assert loss.aux_weight == 0.7
    torch.manual_seed(0)
    output = Dense(torch.randn(1, void_data.classes.channels, 8, 8))
    targets = Targets(torch.ones(1, 1, 8, 8, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    logits, labels = output.logits, targets.semantic()
    assert float(loss(output, targets)["focal"]) == pytest.approx(float(focal_loss(logits, labels, gamma=3.0)))
    assert float(loss(output, targets)["dice"]) == pytest.approx(0.5 * float(dice_loss(logits, labels, smooth=0.25)))
    wrong = TrainOptions(**TINY, loss={"focal": 1.0}, loss_args={"focal.gama": 3.0})
    with pytest.raises(IntarsiaError, match="loss 'focal': expected its own options, received 'gama'. Did you mean 'gamma'"):
        Ingredients(void_data, wrong, accelerator_for(wrong))
