"""A whole training: what comes before the loop, and the pictures and scores that come after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from accelerate.utils import broadcast_object_list

from intarsia.core.catalogue import find
from intarsia.draw.curves import curves, lr_curve
from intarsia.draw.save import save
from intarsia.engine.devices import accelerator_for
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.looking import draw_batch
from intarsia.engine.lr_finder import RangeTest, range_test
from intarsia.engine.network import Model
from intarsia.engine.results import evaluate_and_draw
from intarsia.engine.run import Run, new_run
from intarsia.engine.trackers import trackers
from intarsia.engine.train import accumulated_step, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intarsia.data.dataset import Dataset
    from intarsia.engine.options import LrFindOptions, TrainOptions

    Callbacks = Sequence[Callable[[Mapping[str, float]], None]]
    Warn = Callable[[str], None] | None

__all__ = ["find_rate", "go_on", "start"]


def start(data: Dataset, options: TrainOptions, *, callbacks: Callbacks = (), warn: Warn = None, quiet: bool = False) -> Run:
    """Makes a run folder and trains into it. Whatever the options ask for in vain is told before the folder is made."""
    parts = Ingredients(data, options, accelerator_for(options))
    trackers(Path(), options)  # tells what is not installed; nothing is opened before the first row
    folder = [str(new_run(data, parts.options, parts.recipe).folder) if parts.accelerator.is_main_process else ""]
    broadcast_object_list(folder)  # one folder for all processes
    return _trained(data, parts, Run(Path(folder[0])), callbacks, warn, quiet)


def go_on(run: Run, *, callbacks: Callbacks = (), warn: Warn = None, quiet: bool = False) -> Run:
    """Goes on with a run that was killed; one that is done is returned as it is. The encoder's own weights are needed no more."""
    if run.done:
        return run
    data, options = run.open_data(), run.options
    for draft in run.folder.rglob(".*.safetensors"):  # what a kill has left half-written
        draft.unlink(missing_ok=True)
    parts = Ingredients(data, options, accelerator_for(options), recipe=run.recipe, fresh=not run.state.exists())
    return _trained(data, parts, run, callbacks, warn, quiet)


def _trained(data: Dataset, parts: Ingredients, run: Run, callbacks: Callbacks, warn: Warn, quiet: bool) -> Run:
    """The loop; before it the picture of a training batch, after it the curves and the val split under the best weights."""
    options, main = parts.options, parts.accelerator.is_main_process
    rows: list[Mapping[str, float]] = []
    if main:
        draw_batch(parts.train_data, options, run.folder / "train_batch.png", chances=parts.chances)
        callbacks = [*trackers(run.folder, options), rows.append, *callbacks]
    try:
        train(data, parts, run, callbacks=callbacks, warn=warn, quiet=quiet)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"`intarsia resume {run.folder}` goes on" if run.state.exists() else "") from None
    if main:
        save(curves(rows, find("metrics", parts.recipe.task).headline), run.folder / "curves.png")
        best = Model.from_pretrained(run.best, device=str(parts.accelerator.device), precision=parts.precision)
        evaluate_and_draw(best, data.split(options.val_split), run.folder / "val", split=options.val_split)
    parts.accelerator.wait_for_everyone()
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
    save(lr_curve(found.rates, found.losses, {"steepest": found.steepest, "valley": found.valley}), path)
    return found
