"""Commands for networks that have learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

import intarsia
from intarsia.cli.commands._shared import OPTIONAL_DATA, OPTIONAL_MODEL, Image, Images, Model, show
from intarsia.cli.table import models_table
from intarsia.core.errors import OptionError
from intarsia.engine.measures import asked_for

__all__ = ["compare", "evaluate", "models", "predict"]


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
    task: Literal["semantic", "instance", "panoptic"] | None = None,
    decode_args: dict[str, Any] = {},  # noqa: B006 - never changed
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
    and --prediction FOLDER for two folders of label files. Of these --task instance or panoptic
    takes a data set of objects, and what `intarsia predict` has written.

    Args:
        truth: Folder of label files that hold the truth, or of a data set.
        prediction: Folder of label files to score, matched by stem, or what `intarsia predict` has written.
        classes: The class file of truth and prediction.
        split: The split to score, where the data has splits.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
        measures: Further: boundary, surface, calibration, counting, boundary_instance, boundary_panoptic, or my_package.mine:Mine.
        measure_args: Options of the measures, such as surface.tolerance=2 or surface.spacing=[3,0.8,0.8].
        task: What the network is asked: semantic, instance or panoptic; left out, what it was trained for, of files semantic.
        decode_args: Thresholds by which its answers are read, such as score=0.3.
        out: Folder for scores and pictures; two such folders can be compared.
        flip: Average the answers with those for the mirrored image; of networks that score each pixel.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        batch_size: Images per step.
        workers: Processes that load data.
        json: Print JSON.
    """
    if truth is not None and prediction is not None and model is None:
        scores = intarsia.evaluate_folders(
            truth,
            prediction,
            classes=classes,
            task=task or "semantic",
            split=split,
            format=format,
            data_args=data_args,
            measures=asked_for(measures, measure_args),
            out=out,
        )
    elif model is not None and truth is None and prediction is None:
        scores = intarsia.evaluate(
            model,
            data,
            split=split,
            format=format,
            data_args=data_args,
            measures=asked_for(measures, measure_args),
            task=task,
            decode_args=decode_args,
            out=out,
            flip=flip,
            device=device,
            precision=precision,
            batch_size=batch_size,
            workers=workers,
        )
    else:
        raise OptionError("evaluate", expected="either MODEL, or MODEL DATA, or --truth FOLDER --prediction FOLDER")
    show(scores.to_dict() if json else scores, as_json=json)


def compare(
    a: Annotated[Positional[Path], arg(metavar="A", help="A run, a checkpoint, or a folder that `evaluate --out` has written.")],
    b: Annotated[Positional[Path], arg(metavar="B", help="Another; differences are B - A.")],
    data: Annotated[Positional[Path | None], OPTIONAL_DATA] = None,
    split: str = "test",
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
    measures: tuple[str, ...] = (),
    measure_args: dict[str, Any] = {},  # noqa: B006 - never changed
    task: Literal["semantic", "instance", "panoptic"] | None = None,
    decode_args: dict[str, Any] = {},  # noqa: B006 - never changed
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
        measures: Further: boundary, surface, calibration, counting, boundary_instance, boundary_panoptic, or my_package.mine:Mine.
        measure_args: Options of the measures, such as surface.tolerance=2 or surface.spacing=[3,0.8,0.8].
        task: What both networks are asked: semantic, instance or panoptic; left out, what each was trained for.
        decode_args: Thresholds by which their answers are read, such as score=0.3.
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
        task=task,
        decode_args=decode_args,
        device=device,
        precision=precision,
    )
    show(found.to_dict() if json else found, as_json=json)


def predict(
    model: Model,
    image: Image,
    images: Images = (),
    out: Path = Path("predictions"),
    task: Literal["semantic", "instance", "panoptic"] | None = None,
    decode_args: dict[str, Any] = {},  # noqa: B006 - never changed
    min_score: float | None = None,
    spacing: tuple[float, ...] = (),
    flip: bool = False,
    device: str = "auto",
    precision: str = "auto",
) -> None:
    """Segment images: an overlay and a map for each, and of objects COCO's JSON and a table.

    Args:
        out: Folder for what is written.
        task: What the network is asked: semantic, instance or panoptic; left out, what it was trained for.
        decode_args: Thresholds by which its answers are read, such as score=0.3.
        min_score: Least score of what is written and drawn; left out, 0.5 for instances.
        spacing: Height and width of a pixel in mm, or one number for both, for areas in the table; a GeoTIFF knows its own.
        flip: Average the answers with those for the mirrored image; of networks that score each pixel.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
    """
    written = intarsia.predict(
        model,
        [image, *images],
        out=out,
        task=task,
        decode_args=decode_args,
        min_score=min_score,
        spacing=spacing * 2 if len(spacing) == 1 else spacing or None,
        flip=flip,
        device=device,
        precision=precision,
    )
    show(written)


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
    show(rows if json else models_table(rows), as_json=json)
