"""Training: of a new network, of one that has learnt already, again, or only to find a rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.api._arguments import opened, options_of
from intarsia.engine.options import FineTuneOptions, LrFindOptions, TrainOptions
from intarsia.engine.run import Run, free_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intarsia.api._arguments import Data
    from intarsia.data.dataset import Dataset
    from intarsia.engine.lr_finder import RangeTest

__all__ = ["demo", "fine_tune", "lr_find", "reproduce", "resume", "train"]


def demo(out: str | Path = "demo", *, epochs: int | None = None, quiet: bool = False) -> Run:
    """The main job on synthetic scenes: makes the data, looks at it, trains, evaluates, draws, and says where to look."""
    from intarsia.engine.demo import run_demo

    return run_demo(Path(out), epochs=epochs, quiet=quiet)


def train(
    data: Data,
    options: TrainOptions | None = None,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
    **changes: Any,
) -> Run:
    """Checks the data, trains a network on it, evaluates it and draws the results: a Run folder, described in `Run`.

    `changes` are fields of TrainOptions: `train(data, model="unet", encoder="mobilenetv2_100", epochs=40)`; without any that says
    how to train, it goes by `plan(data)`. Each callback is called with the row of an epoch, `warn` with each sentence of the watch,
    which says what goes wrong.
    """
    from intarsia.engine.training import start

    options = options_of(TrainOptions, options, changes)
    dataset = opened(data, options.format, options.data_args, waive=options.waive)
    if not options.settings:
        dataset, options = _planned(dataset, options, quiet=quiet)
    used = {record for split in (options.split, options.val_split) for record in dataset.split(split).records}
    dataset.subset(record for record in dataset.records if record in used).check(waive=options.waive)
    return start(dataset, options, callbacks=callbacks, warn=warn, quiet=quiet)


def _planned(dataset: Dataset, options: TrainOptions, *, quiet: bool) -> tuple[Dataset, TrainOptions]:
    """Data and options by the plan, which is told unless `quiet`; where and what, but not how, stays as the options say."""
    from intarsia.engine.plan import make_plan

    made = make_plan(dataset, split=options.split, task=options.task)
    if not quiet:
        print(f"No setting says how to train, so it goes by the plan (intarsia plan):\n{made}\n")
    return made.data, made.options(options.places)


def fine_tune(
    source: str | Path | Run,
    data: Data,
    options: FineTuneOptions | None = None,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
    **changes: Any,
) -> Run:
    """Trains a network that has learnt already, any that `load` takes, on other data: classes known by name keep their weights.

    The encoder is frozen for a fifth of the training and then learns at lower rates the earlier its stage; `changes` are fields of
    TrainOptions and override this: `fine_tune("torchvision:lraspp_mobilenet_v3_large", data, epochs=20, freeze=0)`.
    """
    place = source.folder if isinstance(source, Run) else source
    training = options_of(FineTuneOptions, options, changes).of(str(place))
    return train(data, training, callbacks=callbacks, warn=warn, quiet=quiet)


def resume(
    run: str | Path | Run,
    *,
    callbacks: Sequence[Callable[[Mapping[str, float]], None]] = (),
    warn: Callable[[str], None] | None = None,
    quiet: bool = False,
) -> Run:
    """Goes on with a run that was killed, with its own options; a finished one is returned as it is."""
    from intarsia.engine.training import go_on

    return go_on(run if isinstance(run, Run) else Run(Path(run)), callbacks=callbacks, warn=warn, quiet=quiet)


def reproduce(run: str | Path | Run, *, out: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Runs a training again, its options on its data, and tells the difference in versions, scores and weights."""
    from intarsia.engine.reproduce import reproduce_run

    run = run if isinstance(run, Run) else Run(Path(run))
    folder = Path(out) if out is not None else free_folder(run.folder.with_name(run.folder.name + "-reproduced"))
    return reproduce_run(run, folder, quiet=quiet)


def lr_find(data: Data, options: LrFindOptions | None = None, *, out: str | Path = "lr_find.png", **changes: Any) -> RangeTest:
    """The learning-rate range test of a training; the curve is drawn to `out`."""
    from intarsia.engine.training import find_rate

    options = options_of(LrFindOptions, options, changes)
    dataset = opened(data, options.format, options.data_args)
    dataset.split(options.split).check()
    return find_rate(dataset, options, Path(out))
