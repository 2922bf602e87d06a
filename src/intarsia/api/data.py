"""The data: opened, looked at, examined, split, converted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.api._arguments import free_file, opened
from intarsia.core import ClassSet, Sample
from intarsia.data.class_files import read_classes
from intarsia.data.folders import apart
from intarsia.data.images import read_image, write_bytes
from intarsia.data.open import located, open_dataset
from intarsia.data.splits import Splits, make_splits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from intarsia.api._arguments import Data
    from intarsia.data.dataset import Dataset
    from intarsia.data.examine import Report
    from intarsia.engine.plan import Plan

__all__ = ["convert", "doctor", "download", "look", "open_image", "open_mask", "plan", "split"]


def open_image(path: str | Path) -> NDArray[Any]:
    """(H, W, C) in the file's own dtype."""
    return read_image(Path(path))


def open_mask(
    path: str | Path, classes: ClassSet | Sequence[str] | str | Path | None = None, *, image: str | Path | None = None
) -> Sample:
    """A label file, by itself or over its image: `open_mask("a.png").show()`. `classes` are names, or a class file; else the ids
    are the names.
    """
    from intarsia.engine.looking import sample_of_ids

    if isinstance(classes, str | Path):
        classes = read_classes(Path(classes)).classes
    names = classes if classes is None or isinstance(classes, ClassSet) else ClassSet(tuple(classes))
    return sample_of_ids(Path(path), names, None if image is None else Path(image))


def look(
    data: Data,
    *,
    split: str | None = None,
    count: int = 4,
    out: str | Path = "look.png",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    batch: bool = True,
) -> list[Path]:
    """Before any training: samples as image, label, overlay, raw ids and class names; and a training batch as it is augmented."""
    from intarsia.engine.looking import look_at

    dataset = opened(data, format, data_args)
    return look_at(dataset.split(split) if split else dataset, Path(out), count=count, batch=batch)


def plan(
    data: Data,
    *,
    out: str | Path | None = None,
    split: str = "train",
    task: str | None = None,
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Plan:
    """What to train on this data and how, on this machine, each choice with its reason; `out`, a new file, takes it as TOML for
    `train`. `task` is semantic, instance or panoptic, by default what the labels hold.

    `train(data)` without any setting goes by it.
    """
    from intarsia.engine.plan import make_plan

    free_file(out)
    made = make_plan(opened(data, format, data_args), split=split, task=task)
    if out is not None:
        write_bytes(Path(out), made.to_toml().encode())
    return made


def download(name: str, out: str | Path, *, tell: Callable[[str], None] = print) -> Dataset:
    """A public data set by name (camvid, voc2012, oxford_pets ...), in the new folder `out`, opened; `tell` gets its terms first.

    What was cut off goes on where it stopped, when it is called again.
    """
    from intarsia.data.download import SOURCES
    from intarsia.data.download import download as fetch

    return open_dataset(fetch(name, Path(out), tell=tell), **SOURCES[name].options)


def doctor(
    data: str | Path,
    *,
    fix: str | Path | None = None,
    size: tuple[int, int] | None = None,
    sheet: str | Path | None = None,
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Report:
    """What is wrong with a folder of images and labels, with the remedy of each thing; `fix` is a new folder for a mended copy,
    `sheet` a picture to write of the first samples of each finding.

    `size` is what images are resized to in training, if not their own; `.sound` of the report tells whether a training on the
    original would be, `.copy` what was mended and what of it is still wrong.
    """
    from intarsia.data.examine import examine, mended

    folder = located(data)
    if fix is not None:
        apart(folder, Path(fix), "--fix")
    report = examine(folder, format=format, size=size, **(data_args or {}))
    if sheet is not None:
        from intarsia.engine.looking import draw_findings

        report = replace(report, sheet=draw_findings(report, Path(sheet)))
    return report if fix is None else replace(report, copy=mended(report, Path(fix)))


def split(
    data: Data,
    out: str | Path,
    *,
    val: float = 0.15,
    test: float = 0.0,
    folds: int = 0,
    stratify: bool = True,
    group_by: str = "",
    seed: int = 0,
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Splits:
    """Writes to the new file `out` which image is in which split, for `open_dataset(..., splits=out)` or `--data-args splits=...`:
    parts alike in the pixels of each class, images of one group (`group_by`, see `make_splits`) in one part.
    """
    free_file(out)
    splits = make_splits(
        opened(data, format, data_args), val=val, test=test, folds=folds, stratify=stratify, group_by=group_by, seed=seed
    )
    splits.write(Path(out))
    return splits


def convert(
    data: Data,
    out: str | Path,
    to: str,
    *,
    lose: Sequence[str] = (),
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> Dataset:
    """Writes a data set to the new folder `out` in the format `to`, and gives what was written, opened again; its `notes` tell what
    other programs may not read of it.

    What the format has no room for is told beforehand, and nothing is written, unless `lose` names it: "void", "crowd", "classes"
    ... (see `intarsia.data.convert.LOSABLE`).
    """
    from intarsia.data.convert import convert as write_as

    told = write_as(opened(data, format, data_args), Path(out), to, lose=lose)
    copy = open_dataset(out, format=to)
    copy.notes += (told,) if told else ()
    return copy
