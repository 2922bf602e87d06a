"""What an evaluation leaves behind but for pictures of images: scores, a row per image, charts, and the counts themselves.

counts.npz holds what each image added to each measure, so that two evaluations can be compared image by image without the networks,
and without torch.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from intarsia.core import ClassSet
from intarsia.core.errors import DataError
from intarsia.core.files import whole_file, write_json
from intarsia.engine.measures import Measures

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["COUNTS", "read_counts", "write_scores"]

COUNTS = "counts.npz"


def write_scores(measures: Measures, scores: Any, out: Path, facts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """scores.json with `facts` in front, images.csv with the worst mean IoU first, confusion_matrix.png, reliability.png where
    calibration was measured, and counts.npz; the rows of images.csv are returned, in its order.
    """
    from intarsia.draw.confusion import confusion_picture
    from intarsia.draw.save import save

    write_json(out / "scores.json", {**facts, **scores.to_dict()})
    rows = measures.by_image()
    ranked = sorted(rows, key=lambda key: (np.isnan(rows[key]["mean_iou"]), rows[key]["mean_iou"]))  # all void: last
    with whole_file(out / "images.csv") as draft, draft.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["key", *rows[ranked[0]]])
        writer.writerows((key, *rows[key].values()) for key in ranked)
    save(confusion_picture(scores.confusion, measures.classes), out / "confusion_matrix.png")
    if "calibration" in scores.measures:
        from intarsia.draw.reliability import reliability

        save(reliability(scores.measures["calibration"].bins), out / "reliability.png")
    images = {name: metric.images() for name, metric in measures.metrics.items()}
    options = {name: metric.options for name, metric in measures.metrics.items()}
    about = {"classes": measures.classes.to_dict(), "task": measures.task, "options": options, **facts}
    arrays: dict[str, Any] = {f"{name} counts": np.array(list(counts.values())) for name, counts in images.items()}
    with whole_file(out / COUNTS) as draft, draft.open("wb") as handle:
        np.savez_compressed(handle, about=np.array(json.dumps(about)), keys=np.array(list(images[measures.task])), **arrays)
    return {key: rows[key] for key in ranked}


def read_counts(folder: Path) -> tuple[Measures, dict[str, Any]]:
    """The measures that `write_scores` has left in `folder`, and the facts beside them. Raises DataError where there are none."""
    try:
        with np.load(folder / COUNTS, allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            keys: list[str] = held["keys"].tolist()
            task, options = about.pop("task"), about.pop("options")
            asked = {name: given for name, given in options.items() if name != task}
            measures = Measures(ClassSet.from_dict(about.pop("classes")), task, asked)
            measures.metrics = {name: metric.alike(keys, held[f"{name} counts"]) for name, metric in measures.metrics.items()}
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(
            str(folder / COUNTS),
            expected="the counts that `intarsia evaluate --out` writes",
            received=str(error).splitlines()[0],
        ) from error
    return measures, about
