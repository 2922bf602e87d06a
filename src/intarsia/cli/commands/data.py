"""Commands for the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

import intarsia
from intarsia.cli.commands._shared import Data, show

__all__ = ["convert", "doctor", "download", "look", "plan", "split"]


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
    show(intarsia.look(data, split=split, count=count, out=out, format=format, data_args=data_args, batch=batch))


def download(
    name: Annotated[Positional[str], arg(metavar="NAME", help="camvid, camvid_tiny, voc2012, oxford_pets or pennfudan.")],
    out: Path | None = None,
) -> None:
    """Fetch a public data set by name, checked, and tell its terms.

    A download that was cut off goes on where it stopped.

    Args:
        out: The new folder; left out, one of that name here.
    """
    print(intarsia.download(name, out or Path(name)))


def doctor(
    data: Data,
    fix: Path | None = None,
    size: tuple[int, int] | None = None,
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
    sheet: Path | None = None,
    json: bool = False,
) -> int:
    """Tell what is wrong with the data, and how to mend it, before any training.

    Exit status 0 says that a training on the data as it is would be sound, 1 that it would not.

    Args:
        fix: New folder for a mended copy; the original stays as it is.
        size: Height and width of training, to tell which objects are lost at it.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
        sheet: Picture to write of the first samples of each finding.
        json: Print JSON.
    """
    report = intarsia.doctor(data, fix=fix, size=size, format=format, data_args=data_args, sheet=sheet)
    if json:
        show(report.to_dict(), as_json=True)
    else:
        print(report)
        if sheet is not None:
            print(
                f"pictures of the findings: {sheet}"
                if report.sheet
                else f"{sheet} not written: there is nothing to show a picture of"
            )
    return 0 if report.sound else 1


def plan(
    data: Data,
    out: Path | None = None,
    split: str = "train",
    task: Literal["semantic", "instance", "panoptic"] | None = None,
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
) -> None:
    """Choose what to train and how, from the data and the machine, and say why.

    `intarsia train DATA` without any setting goes by the plan; with --out it is a file to edit, for train --config FILE.

    Args:
        out: The TOML file to write.
        split: The split that is to be trained on.
        task: What is to be told apart; left out, what the labels hold.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
    """
    print(intarsia.plan(data, out=out, split=split, task=task, format=format, data_args=data_args))


def split(
    data: Data,
    out: Path = Path("split.json"),
    val: float = 0.15,
    test: float = 0.0,
    folds: int = 0,
    stratify: bool = True,
    group_by: str = "",
    seed: int = 0,
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
) -> None:
    """Say which images are trained on, which choose and which test, in a file.

    Train with it by --data-args splits=FILE, of folds with fold=0 and so on too.

    Args:
        out: The file to write.
        val: Share of the images that choose the best weights.
        test: Share of the images that are kept for the end.
        folds: So many parts instead, each of which is val once.
        stratify: Give each part its share of the pixels of each class.
        group_by: Keep together what belongs together: folder, similar (looks), or an expression such as patient_(\\d+).
        seed: Another number gives other parts.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as rule={stem}_P.png.
    """
    how: dict[str, Any] = {"val": val, "test": test, "folds": folds, "stratify": stratify, "group_by": group_by, "seed": seed}
    splits = intarsia.split(data, out, **how, format=format, data_args=data_args)
    print("\n".join([str(splits), *splits.notes, str(out)]))


def convert(
    data: Data,
    out: Annotated[Positional[Path], arg(metavar="OUT", help="The new folder.")],
    to: str,
    lose: tuple[str, ...] = (),
    format: str | None = None,
    data_args: dict[str, Any] = {},  # noqa: B006 - never changed
) -> None:
    """Write the data in another format; what that cannot hold is told before.

    Args:
        to: The format: coco_instances, coco_panoptic, voc, yolo, mask_folder and others.
        lose: What may be left out where the format has no room for it, of: classes, splits, grid, overlap, instances, order, crowd,
            scores, void, nothing, background, empty, unlabelled. A refusal says which, and what becomes of it.
        format: The format of the data; left out, it is recognised.
        data_args: Options of the format, such as val=0.15 or rule={stem}_P.png.
    """
    copy = intarsia.convert(data, out, to, lose=lose, format=format, data_args=data_args)
    print("\n".join([str(copy), *copy.notes]))
