"""A whole training: the loop, and around it trackers, pictures and the last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from accelerate import PartialState

from intarsia.draw.curves import curves, lr_curve
from intarsia.draw.save import save
from intarsia.engine.devices import accelerator_for
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.looking import draw_batch
from intarsia.engine.lr_finder import RangeTest, range_test
from intarsia.engine.network import Model
from intarsia.engine.results import evaluate_and_draw
from intarsia.engine.trackers import trackers
from intarsia.engine.train import accumulated_step, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from intarsia.data.dataset import Dataset
    from intarsia.engine.options import LrFindOptions, TrainOptions
    from intarsia.engine.run import Run

__all__ = ["find_rate", "train_and_draw"]


def train_and_draw(
    data: Dataset,
    options: TrainOptions,
    run: Run,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    quiet: bool = False,
) -> Run:
    """Trains into `run`; draws a training batch before, and the curves and the val split under the best weights after."""
    rows: list[Mapping[str, float]] = []
    logs: list[Callable[[Mapping[str, float]], None]] = []
    main = PartialState().is_main_process
    if main:
        draw_batch(data.split(options.split), options, run.folder / "train_batch.png")
        logs = [*trackers(run.folder, options), rows.append]
    train(data, options, run, callbacks=[*logs, *callbacks], quiet=quiet)
    if main:
        save(curves(rows), run.folder / "curves.png")
        best = Model.from_pretrained(run.best, device=options.device, precision=options.precision)
        evaluate_and_draw(best, data.split(options.val_split), run.folder / "val", split=options.val_split)
    PartialState().wait_for_everyone()
    return run


def find_rate(data: Dataset, options: LrFindOptions, path: Path) -> RangeTest:
    """The range test of the training that `options` describe, its curve drawn to `path`."""
    parts = Ingredients(data, options, accelerator_for(options))
    stream = parts.batches(parts.order(range(options.steps)))
    found = range_test(
        parts.bare,
        parts.optimiser,
        lambda: float(accumulated_step(parts, [next(stream) for _ in range(options.accumulate)])),
        lowest=options.lowest,
        highest=options.highest,
        steps=options.steps,
    )
    suggestions = {"steepest": found.steepest, "valley": found.valley}
    save(lr_curve(np.asarray(found.rates), np.asarray(found.losses), suggestions), path)
    return found
