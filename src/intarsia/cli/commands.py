"""The commands: each calls the function of `intarsia` that does the work, and prints what comes of it.

Over 300 lines because every command is here with its options and their help, and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

import intarsia
from intarsia.cli.table import models_table
from intarsia.core.errors import OptionError
from intarsia.engine.measures import asked_for
from intarsia.engine.options import FineTuneOptions, LrFindOptions, TrainOptions  # noqa: TC001  (tyro reads the annotations)
from intarsia.engine.settings import to_toml

__all__ = ["compare", "demo", "evaluate", "fine_tune", "look", "lr_find", "models", "predict", "reproduce", "resume", "train"]

MODEL_HELP = "A run folder, a checkpoint, a folder of save_pretrained, torchvision:NAME[=FILE], or hf:org/name of the hub."
MODEL = arg(metavar="MODEL", help=MODEL_HELP)
OPTIONAL_MODEL = arg(metavar="[MODEL]", help=MODEL_HELP)
DATA = arg(metavar="DATA", help="The folder of the data.")
OPTIONAL_DATA = arg(metavar="[DATA]", help="The folder of the data.")
Model = Annotated[Positional[Path], MODEL]
Data = Annotated[Positional[Path], DATA]
SOURCE = arg(
    metavar="SOURCE", help="The network to start from: a run folder, a checkpoint, torchvision:NAME[=FILE], or hf:org/name."
)
Source = Annotated[Positional[str], SOURCE]
RunFolder = Annotated[Positional[Path], arg(metavar="RUN", help="The run folder.")]
Image = Annotated[Positional[Path], arg(metavar="IMAGE", help="An image, or a folder of images.")]
Images = Annotated[Positional[tuple[Path, ...]], arg(metavar="[IMAGE ...]", help="More of them.")]


def demo(out: Path = Path("demo"), epochs: int | None = None, quiet: bool = False) -> None:
    """Do the whole job on synthetic scenes: make data, train, evaluate, draw.

    Args:
        out: Folder for the data, the run and the pictures.
        epochs: Passes over the training images; left out, as many as fit into three minutes on two cores.
        quiet: Show no progress.
    """
    intarsia.demo(out, epochs=epochs, quiet=quiet)


def look(
    data: Data,
    split: str | None = None,
    count: int = 4,
    out: Path = Path("look.png"),
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
    batch: bool = True,
) -> None:
    """Look at the data before training: image, label, overlay, a batch as augmented.

    Args:
        split: The split to look at; left out, all of it.
        count: How many samples.
        out: The picture to write.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
        batch: Draw a training batch as well.
    """
    _show(intarsia.look(data, split=split, count=count, out=out, format=format, data_args=data_args, batch=batch))


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


def evaluate(
    model: Annotated[Positional[Path | None], OPTIONAL_MODEL] = None,
    data: Annotated[Positional[Path | None], OPTIONAL_DATA] = None,
    truth: Path | None = None,
    prediction: Path | None = None,
    classes: Path | None = None,
    split: str = "test",
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
    measures: tuple[str, ...] = (),
    measure_args: dict[str, Any] = {},  # noqa: B006 - never changed
    out: Path | None = None,
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 8,
    workers: int = 0,
    json: bool = False,
) -> None:
    """Score a network on a split, or one folder of label files against another.

    Give RUN for the data the run was trained on, MODEL DATA for other data, or --truth FOLDER
    and --prediction FOLDER for two folders of label files.

    Args:
        truth: Folder of label files that hold the truth.
        prediction: Folder of label files to score, matched by stem.
        classes: The class file of truth and prediction.
        split: The split to score.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
        measures: Further measures: boundary, surface, calibration, or my_package.my_metrics:Mine.
        measure_args: Options of the measures, such as surface.tolerance=2 or surface.spacing=[3,0.8,0.8].
        out: Folder for scores and pictures; two such folders can be compared.
        flip: Average the answers with those for the mirrored image.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        batch_size: Images per step.
        workers: Processes that load data.
        json: Print JSON.
    """
    if truth is not None and prediction is not None and model is None:
        scores = intarsia.evaluate_folders(truth, prediction, classes=classes, measures=asked_for(measures, measure_args), out=out)
    elif model is not None and truth is None and prediction is None:
        scores = intarsia.evaluate(
            model,
            data,
            split=split,
            format=format,
            data_args=data_args,
            measures=asked_for(measures, measure_args),
            out=out,
            flip=flip,
            device=device,
            precision=precision,
            batch_size=batch_size,
            workers=workers,
        )
    else:
        raise OptionError("evaluate", expected="either MODEL, or MODEL DATA, or --truth FOLDER --prediction FOLDER")
    _show(scores.to_dict() if json else scores, as_json=json)


def compare(
    a: Annotated[Positional[Path], arg(metavar="A", help="A run, a checkpoint, or a folder that `evaluate --out` has written.")],
    b: Annotated[Positional[Path], arg(metavar="B", help="Another; differences are B - A.")],
    data: Annotated[Positional[Path | None], OPTIONAL_DATA] = None,
    split: str = "test",
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
    measures: tuple[str, ...] = (),
    measure_args: dict[str, Any] = {},  # noqa: B006 - never changed
    device: str = "auto",
    precision: str = "auto",
    json: bool = False,
) -> None:
    """Tell whether one of two networks is better, score by score, or whether that is not shown.

    Give RUN RUN for the data both runs were trained on, MODEL MODEL DATA for other data, or
    FOLDER FOLDER for two evaluations that were written with --out.

    Args:
        split: The split to compare on.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
        measures: Further measures: boundary, surface, calibration, or my_package.my_metrics:Mine.
        measure_args: Options of the measures, such as surface.tolerance=2 or surface.spacing=[3,0.8,0.8].
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        json: Print JSON.
    """
    found = intarsia.compare(
        a,
        b,
        data,
        split=split,
        format=format,
        data_args=data_args,
        measures=asked_for(measures, measure_args),
        device=device,
        precision=precision,
    )
    _show(found.to_dict() if json else found, as_json=json)


def predict(
    model: Model,
    image: Image,
    images: Images = (),
    out: Path = Path("predictions"),
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> None:
    """Segment images: a label map and an overlay for each.

    Args:
        out: Folder for label maps and overlays.
        flip: Average the answers with those for the mirrored image.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
    """
    _show(intarsia.predict(model, [image, *images], out=out, flip=flip, device=device, precision=precision))


def reproduce(run: RunFolder, out: Path | None = None, quiet: bool = False, json: bool = False) -> None:
    """Run a training again and tell the difference.

    Args:
        out: Folder of the new run; left out, RUN-reproduced, RUN-reproduced2 and so on.
        quiet: Show no progress.
        json: Print JSON.
    """
    report = intarsia.reproduce(run, out=out, quiet=quiet)
    _show(report, as_json=json)
    if not json:
        print("identical" if report["largest_weight_difference"] == 0 else "not identical: the weights differ")


def models(
    encoder: str | None = None,
    measure: bool = False,
    device: str = "auto",
    license: Literal["commercial"] | None = None,
    json: bool = False,
) -> None:
    """List the networks of the catalogue.

    Args:
        encoder: Show those that take an encoder, all on this one; left out, each has its own.
        measure: Measure the latency too.
        device: What it is measured on.
        license: Show only what is known to allow this use: of ours the code, of those trained by others the weights too.
        json: Print JSON.
    """
    rows = intarsia.list_models(encoder, measure=measure, device=device, license=license)
    _show(rows if json else models_table(rows), as_json=json)


def _tell(run: Any) -> None:
    """Where a run has left its results."""
    print(f"run folder    {run.folder}\nbest weights  {run.best}")
    if "mean_iou" in run.metrics:
        print(f"mean IoU      {run.metrics['mean_iou']:.4f} on the split {run.metrics['split']}, 0..1")


def _show(result: Any, *, as_json: bool = False) -> None:
    """A result as JSON, or as lines: a list by item, a table by name."""
    if as_json:
        print(json.dumps(result, indent=2))
    elif isinstance(result, dict):
        print("\n".join(f"{name}: {value}" for name, value in result.items()))
    elif isinstance(result, list):
        print("\n".join("  ".join(map(str, item.values())) if isinstance(item, dict) else str(item) for item in result))
    else:
        print(result)
