"""The main job on synthetic scenes, from nothing to a measured and pictured network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from intarsia.core.errors import OptionError
from intarsia.data.dataset import Dataset
from intarsia.data.formats.mask_folder import MaskFolder
from intarsia.data.open import open_dataset
from intarsia.data.scenes import scenes
from intarsia.engine.looking import look_at
from intarsia.engine.network import Model
from intarsia.engine.options import TrainOptions
from intarsia.engine.results import evaluate_and_draw
from intarsia.engine.training import start
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.engine.run import Run

__all__ = ["run_demo", "write_scenes"]

SCENES = 340
"""Of which 240 train, 40 validate and 60 test."""
RECIPE = TrainOptions(
    epochs=20,
    batch_size=4,
    lr=3e-3,
    class_weights="sqrt_median_frequency",
    rare_crops=0.3,  # signs are half a percent of the pixels
    evaluate_every=4,
    model_args={"widths": (16, 32, 64, 128)},
    loss={"cross_entropy": 1.0, "dice": 1.0},
    scale=(0.75, 1.5),
)


def write_scenes(folder: Path, count: int, *, seed: int = 0, size: tuple[int, int] = (120, 160), val: float, test: float) -> None:
    """Synthetic scenes, their objects merged by class, as images and masks in `folder`."""
    drawn = scenes(count, seed=seed, size=size, val=val, test=test)
    merged = [
        replace(sample, segments=trained_segments(sample.segments, drawn.classes, "classes")) for sample in drawn if sample.segments
    ]
    splits = {record.key: record.split for record in drawn.records}
    MaskFolder.write(Dataset.from_samples(merged, drawn.classes, splits=splits, name="scenes"), folder)


def run_demo(out: Path, *, epochs: int | None = None, quiet: bool = False) -> Run:
    """Draws scenes to `out`/scenes, looks at them, trains a small U-Net on them in `out`/run, evaluates it on the test split, and
    says where to look. An older demo in `out` is an error, so that nothing is overwritten.
    """
    say = Console(quiet=quiet, soft_wrap=True, markup=False, highlight=False).print
    if (out / "run").exists():
        raise OptionError(
            "--out", expected="a folder without an earlier demo", received=str(out), hint="Remove it or name another."
        )
    say(f"1/4 drawing {SCENES} synthetic street scenes to {out / 'scenes'}")
    write_scenes(out / "scenes", SCENES, val=40 / SCENES, test=60 / SCENES)
    data = open_dataset(out / "scenes")
    look_at(data.split("train"), out / "look.png")
    say(f"    look at them: {out / 'look.png'}, and as augmented: {out / 'look_batch.png'}")
    options = replace(RECIPE, out=str(out / "run"), epochs=RECIPE.epochs if epochs is None else epochs)
    say(f"2/4 training a small U-Net for {options.epochs} epochs")
    run = start(data, options, quiet=quiet)
    say("3/4 evaluating the best weights on the test split, which training never saw")
    scores = evaluate_and_draw(Model.from_pretrained(run.best), data.split("test"), out / "test", split="test")
    say(str(scores))
    say("4/4 done. Look at")
    for path, what in (
        (out / "test", "truth | prediction | error, the worst first, and the confusion matrix"),
        (run.folder / "curves.png", "how loss and mean IoU went"),
        (run.folder / "metrics.csv", "a row per epoch"),
        (run.best, f'the weights: intarsia.load("{run.best}").predict("street.jpg").save("street.png")'),
    ):
        say(f"    {path}  {what}")
    return run
