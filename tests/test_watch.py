"""The watch: each rule on rows made by hand, and silence on trainings that go well."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import intarsia
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import TrainingDiverged
from intarsia.data.dataset import Dataset
from intarsia.engine.checkpoint import read_tensors
from intarsia.engine.demo import write_scenes
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.watch import never_predicted, news, watch


def rows(losses, ious=(), wait=0.1, lr=1e-3):
    made = [{"epoch": float(n), "loss": loss, "lr": lr, "wait": wait} for n, loss in enumerate(losses, 1)]
    for row, iou in zip(made, ious, strict=False):
        row["val_mean_iou"] = iou
    return made


ROADS = rows(
    [3.136, 2.055, 1.583, 1.360, 1.247, 1.144, 1.054, 0.994, 1.031, 0.926, 0.835, 0.851, 0.794, 0.748, 0.690, 0.698],
    wait=0.08,
)
"""A real training: a U-Net on CamVid, 24 epochs planned, evaluated every four."""
for epoch, iou in zip((4, 8, 12, 16), (0.447, 0.579, 0.650, 0.668), strict=True):
    ROADS[epoch - 1]["val_mean_iou"] = iou


def test_what_is_tried_already_is_not_advised():
    """With all of it only the size is left."""
    shares = {"a": 0.01, "b": 0.99}
    said = never_predicted([["a"]] * 2, 0.6, lambda: shares, ["class_weights", "rare_crops", "regions"])["never predicted: a"]
    assert said.endswith("Try a larger --size.")
    some = never_predicted([["a"]] * 2, 0.6, lambda: shares, ["regions"])["never predicted: a"]
    assert some.endswith("Try --class-weights sqrt_median_frequency, --rare-crops 0.5, or a larger --size.")


@pytest.mark.parametrize("losses", [[6.04, 5.97, 6.01, 5.93, 5.95, 5.91], [5.77, 5.9, 5.85, 5.95, 5.88, 6.01]])
def test_noise_is_no_learning(losses):
    """Measured: LR-ASPP on CamVid at rates of 1e-6 and 1e-7."""
    rows = [{"epoch": index + 1, "loss": loss, "lr": 1e-6, "val_mean_iou": 0.05} for index, loss in enumerate(losses)]
    assert "far too low" in watch(rows)["nothing learnt"]
    assert "nothing learnt" not in watch([row | {"loss": row["loss"] - 0.1 * index} for index, row in enumerate(rows)])


def test_a_training_that_goes_well_is_not_remarked_upon():
    for count in range(len(ROADS) + 1):
        assert watch(ROADS[:count]) == {}


def test_noise_on_a_good_curve_raises_no_alarm():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        epochs = int(rng.integers(5, 60))
        time = np.linspace(0, 1, epochs)
        losses = rng.uniform(0.3, 1.2) + np.exp(-4 * time) * rng.uniform(0.5, 2) + rng.normal(0, 0.015, epochs)
        ious = 0.7 - 0.5 * np.exp(-4 * time) + rng.normal(0, 0.015, epochs)
        made = rows(losses.tolist(), ious.tolist(), wait=0.2)
        assert all(watch(made[:count]) == {} for count in range(epochs + 1)), seed


# -- the rules -----------------------------------------------------------------------------------------------------------------


def test_a_slow_loader_is_told_from_the_second_epoch_on():
    slow = rows([1.0, 0.8, 0.7], wait=0.45)
    assert watch(slow[:1]) == {}  # the first epoch also starts the workers
    assert watch(slow[:2])["data"].startswith("Training waits for data 45% of the time: more --workers")
    slow[-1]["wait"] = 0.05
    assert "data" not in watch(slow)


def test_overfitting_names_the_best_epoch():
    losses = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2]
    falling = rows(losses, [0.30, 0.45, 0.55, 0.56, 0.54, 0.50, 0.48, 0.47])
    text = watch(falling)["overfitting"]
    assert text.startswith("Overfitting: mean IoU on the val split was best in epoch 4 (0.560) and is now 0.470, while")
    assert "(0.5 to 0.2)" in text
    assert "--early-stop 5" in text
    assert watch(falling[:6]) == {}, "too early to tell"
    assert watch(rows([0.5] * 3 + [0.49] * 5, [0.30, 0.45, 0.55, 0.56, 0.54, 0.50, 0.48, 0.47])) == {}, "the loss does not fall"
    assert watch(rows(losses, [0.30, 0.45, 0.55, 0.56, 0.555, 0.55, 0.548, 0.547])) == {}, "within the noise"


def test_a_rising_loss_is_told_once_it_has_risen_twice():
    rising = rows([1.0, 1.3, 1.6], lr=0.5)
    assert watch(rising[:2]) == {}
    assert watch(rising) == {
        "rate too high": "The training loss rises, 1 in epoch 1 and 1.6 in the latest: the learning rate of 0.5 is too "
        "high. `intarsia lr-find` suggests one."
    }
    assert watch(rows([1.0, 0.99, 1.6])) == {}
    assert watch(rows([1.0, 0.99, 1.2, 1.25, 1.3], lr=0.5))["rate too high"].startswith("The training loss rises, 0.99 in epoch 2")
    assert "0.7 in epoch 4 and 6" in watch(rows([2.0, 1.0, 0.8, 0.7, 5.0, 6.0]))["rate too high"]
    assert watch(rows([-1.0, -0.99, -0.985])) == {}, "the boundary loss is negative by design"


def test_a_loss_that_does_not_move_is_told_unless_all_is_learnt():
    assert "the learning rate of 1e-08" in watch(rows([2.0, 2.001, 1.999, 2.0, 2.0], lr=1e-8))["nothing learnt"].lower()
    assert watch(rows([2.0, 2.001, 1.999, 2.0], lr=1e-8)) == {}
    assert watch(rows([0.4, 0.401, 0.4, 0.399, 0.4], [0.8] * 5)) == {}
    assert watch(rows([2.0, 1.98, 1.96, 1.95, 1.94])) == {}
    assert watch(rows([-1.0, -1.1, -1.2, -1.3, -1.4])) == {}


def test_where_most_classes_are_never_predicted_it_is_told_once():
    shares = dict.fromkeys("abcdef", 1 / 6)
    found = never_predicted([["a", "b", "c", "d"]] * 2, 0.6, lambda: shares)
    assert list(found) == ["nothing learnt"]
    assert found["nothing learnt"].startswith(
        "Hardly anything is learnt: 4 of 6 classes are never predicted. The learning rate may"
    )
    assert len(never_predicted([["a", "b", "c"]] * 2, 0.6, lambda: shares)) == 3
    assert list(never_predicted([["a"]] * 2, 0.6, lambda: {"a": 0.01, "b": 0.99})) == ["never predicted: a"]


def test_a_class_never_predicted_is_told_with_its_share_in_the_second_half():
    shares = {"pole": 0.0042, "car": 0.1, "road": 0.8958}
    history = [["pole", "car"], ["pole"], ["pole"]]
    assert never_predicted(history, 0.49, lambda: shares) == {}
    found = never_predicted(history, 0.5, lambda: shares)
    assert list(found) == ["never predicted: pole"]
    assert found["never predicted: pole"].startswith(
        "Class 'pole' has not been predicted once, and has 0.42% of the training pixels"
    )
    assert "--rare-crops 0.5" in found["never predicted: pole"]
    assert never_predicted([["pole"], []], 1.0, lambda: shares) == {}
    again = never_predicted([[], ["pole"], ["pole"]], 0.6, lambda: shares)["never predicted: pole"]
    assert again.startswith("Class 'pole' is predicted no more, and has 0.42% of the training pixels")
    assert never_predicted([["pole"]], 1.0, lambda: shares), "a single evaluation, at the end"
    assert "in no training image" in never_predicted([["ghost"]], 1.0, lambda: shares)["never predicted: ghost"]
    assert never_predicted([], 1.0, lambda: pytest.fail("nothing to ask for")) == {}


def test_everything_is_told_once_and_written_down(tmp_path):
    told = {}
    assert news({"data": "Slow."}, told, 2, tmp_path) == ["Slow."]
    assert news({"data": "Slower."}, told, 3, tmp_path) == []
    assert news({"data": "Slower.", "rate": "Rising."}, told, 4, tmp_path) == ["Rising."]
    assert (tmp_path / "watch.txt").read_text() == "epoch 2: Slow.\nepoch 4: Rising.\n"


def test_it_loads_no_torch():
    code = "import sys, intarsia.engine.watch; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# -- in a training -------------------------------------------------------------------------------------------------------------


def specks(count=34):
    """Class `speck` has one pixel in a hundred, of no colour of its own; it cannot be learnt."""
    rng = np.random.default_rng(0)
    samples = []
    for index in range(count):
        labels = np.zeros((20, 20), int)
        labels[tuple(rng.integers(0, 20, (2, 4)))] = 1
        samples.append(Sample(np.full((20, 20, 3), 128, np.uint8), Segments.from_semantic(labels, 2), str(index)))
    splits = {str(index): "train" if index < count - 2 else "val" for index in range(count)}
    return Dataset.from_samples(samples, ClassSet(("ground", "speck")), splits=splits)


TINY = {"model_args": {"widths": (4, 8)}, "batch_size": 2, "device": "cpu", "precision": "fp32", "waive": ("leak",)}


def test_a_training_tells_of_its_missing_class_in_log_folder_and_callback(tmp_path, capsys):
    heard = []
    run = intarsia.train(
        specks(), out=str(tmp_path / "run"), epochs=4, lr=1e-2, loss={"cross_entropy": 1.0}, warn=heard.append, **TINY
    )
    missing = [text for text in heard if "speck" in text]
    assert len(missing) == 1
    assert "and has 1% of the training pixels" in missing[0].replace("0.99%", "1%")
    assert f"watch: {missing[0]}" in capsys.readouterr().out
    assert missing[0] in (run.folder / "watch.txt").read_text()


def test_the_rows_of_a_real_training_are_silent(tmp_path):
    write_scenes(tmp_path / "data", 20, size=(32, 40), val=0.2, test=0)
    heard, seen = [], []
    run = intarsia.train(
        tmp_path / "data", out=str(tmp_path / "run"), epochs=6, lr=1e-2, class_weights="sqrt_median_frequency", warn=heard.append,
        callbacks=[seen.append], quiet=True, **TINY
    )  # fmt: skip
    judged = [{**row, "wait": 0.1} for row in seen]  # the speed of this machine is not the matter here
    assert watch(judged) == {}
    assert all(0 <= row["wait"] <= 1 for row in seen)
    kinds = ("Training waits for data", "Class ", "Hardly anything")  # what a loaded machine and so short a training may truly meet
    assert all(text.startswith(kinds) for text in heard)
    assert (run.folder / "watch.txt").exists() == bool(heard)


def test_classes_are_judged_when_they_have_been_evaluated_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("intarsia.engine.train.never_predicted", lambda history, done, *_: asked.append((len(history), done)) or {})
    intarsia.train(specks(8), out=str(tmp_path / "run"), epochs=5, quiet=True, **TINY | {"evaluate_every": 2})
    assert asked == [(1, 0.4), (2, 0.8), (3, 1.0)]


def test_a_loss_that_becomes_no_number_names_the_last_good_epoch(tmp_path, monkeypatch):
    calls = iter(range(99))
    loss_of = Ingredients.loss_of
    monkeypatch.setattr(Ingredients, "loss_of", lambda self, batch: loss_of(self, batch) * (float("nan") if next(calls) > 3 else 1))
    text = "epoch 2, step 2: .* Epoch 1 was the last with a finite loss: .* its weights by --start-from .*/run/weights/last"
    with pytest.raises(TrainingDiverged, match=text):
        intarsia.train(specks(8), out=str(tmp_path / "run"), epochs=3, quiet=True, **TINY)
    assert intarsia.Run(tmp_path / "run").last.is_file()


def test_weights_that_become_no_number_in_the_last_step_of_an_epoch_are_not_kept(tmp_path, monkeypatch):
    stepped, calls = Ingredients.loss_of, iter(range(99))

    def loss_of(self, batch):
        loss = stepped(self, batch)
        if next(calls) == 5:
            loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    monkeypatch.setattr(Ingredients, "loss_of", loss_of)
    with pytest.raises(TrainingDiverged, match="epoch 2, step 3: expected a finite loss, received weights that are no numbers"):
        intarsia.train(specks(8), out=str(tmp_path / "run"), epochs=3, quiet=True, **TINY)
    kept = read_tensors(intarsia.Run(tmp_path / "run").last)[0]
    assert all(value.isfinite().all() for value in kept.values())


def test_a_class_that_is_everything_has_100_percent():
    assert "has 100% of the training pixels" in never_predicted([["a"], ["a"]], 1.0, lambda: {"a": 0.9996})["never predicted: a"]
