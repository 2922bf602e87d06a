"""Commands that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import intarsia
from intarsia.cli.commands._shared import Data, RunFolder, Source, show
from intarsia.engine.options import FineTuneOptions, LrFindOptions, TrainOptions  # noqa: TC001
from intarsia.engine.settings import to_toml

__all__ = ["demo", "fine_tune", "lr_find", "reproduce", "resume", "train"]


def demo(out: Path = Path("demo"), epochs: int | None = None, quiet: bool = False) -> None:
    """Do the whole job on synthetic scenes: make data, train, evaluate, draw.

    Args:
        out: Folder for the data, the run and the pictures.
        epochs: Passes over the training images; left out, as many as fit into three minutes on two cores.
        quiet: Show no progress.
    """
    intarsia.demo(out, epochs=epochs, quiet=quiet)


def train(
    data: Data,
    training: TrainOptions,
    config: Path | None = None,
    print_config: bool = False,
    quiet: bool = False,
) -> None:
    """Train a network on a folder of images and annotations.

    Args:
        training: What is trained, on what, and how.
        config: TOML file of options, such as config.toml of another run; the command line goes before it.
        print_config: Print the options as TOML and train nothing.
        quiet: Show no progress.
    """
    if print_config:
        print(to_toml(training), end="")
    else:
        _tell(intarsia.train(data, training, quiet=quiet))


def fine_tune(
    source: Source,
    data: Data,
    training: FineTuneOptions,
    config: Path | None = None,
    print_config: bool = False,
    quiet: bool = False,
) -> None:
    """Train a network that has learnt already on other data.

    Classes known by name keep their weights; the encoder is frozen at first and then learns more slowly than the rest.

    Args:
        training: How it goes on learning; defaults that differ from those of train are made for this.
        config: TOML file of options, such as config.toml of another run; the command line goes before it.
        print_config: Print the options as TOML and train nothing.
        quiet: Show no progress.
    """
    if print_config:
        print(to_toml(training.of(source)), end="")
    else:
        _tell(intarsia.fine_tune(source, data, training, quiet=quiet))


def resume(run: RunFolder, quiet: bool = False) -> None:
    """Go on with a training that was killed, as if it had never been.

    Args:
        quiet: Show no progress.
    """
    _tell(intarsia.resume(run, quiet=quiet))  # one that is done is only told again


def lr_find(data: Data, training: LrFindOptions, config: Path | None = None, curve: Path = Path("lr_find.png")) -> None:
    """Find a learning rate by a range test, and draw its curve.

    Args:
        training: The training to find a rate for, and the range of the test.
        config: TOML file of options; the command line goes before it.
        curve: The picture to write.
    """
    found = intarsia.lr_find(data, training, out=curve)
    print(f"steepest  {found.steepest:.2g}\nvalley    {found.valley:.2g}  (a safe --lr)\ncurve     {curve}")


def reproduce(run: RunFolder, out: Path | None = None, quiet: bool = False, json: bool = False) -> None:
    """Run a training again and tell the difference.

    Args:
        out: Folder of the new run; left out, RUN-reproduced, RUN-reproduced2 and so on.
        quiet: Show no progress.
        json: Print JSON.
    """
    report = intarsia.reproduce(run, out=out, quiet=quiet)
    show(report if json else _compared(report), as_json=json)


def _compared(report: dict[str, Any]) -> str:
    """What `intarsia.reproduce` found, for people."""
    versions = [f"{name} {before} -> {now}" for name, (before, now) in report["versions_that_differ"].items()]
    largest = report["largest_weight_difference"]
    lines = [f"run       {report['run']}", f"again     {report['again']}", f"versions  {', '.join(versions) or 'the same'}", ""]
    if report["scores"]:
        width = max(map(len, report["scores"]))
        lines.append(f"{'score':<{width}}  before   again    difference")
        lines += [
            f"{name:<{width}}  {before:.4f}   {again:.4f}   {gap:+.2g}" for name, (before, again, gap) in report["scores"].items()
        ]
        lines.append("")
    same = "identical" if largest == 0 else f"not identical: weights differ by up to {largest:.2g}"
    return "\n".join([*lines, same])


def _tell(run: Any) -> None:
    """Where a run has left its results."""
    print(f"run folder    {run.folder}\nbest weights  {run.best}")
    if "mean_iou" in run.metrics:
        print(f"mean IoU      {run.metrics['mean_iou']:.4f} on the split {run.metrics['split']}, 0..1")
