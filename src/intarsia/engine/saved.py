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
from intarsia.metrics.semantic import SemanticScores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["COUNTS", "read_counts", "write_scores"]

COUNTS = "counts.npz"


def write_scores(measures: Measures, scores: Any, out: Path, facts: dict[str, Any]) -> dict[str, dict[str, float]]:
    """scores.json with `facts` in front, images.csv with the worst first by the headline, confusion_matrix.png of semantic scores,
    reliability.png where calibration was measured, and counts.npz; the rows of images.csv are returned, in its order.
    """
    from intarsia.draw.confusion import confusion_picture
    from intarsia.draw.save import save

    write_json(out / "scores.json", {**facts, **scores.to_dict()})
    rows = measures.by_image()
    headline = measures.headline
    sign = 1 if measures.metrics[measures.task].best(headline) else -1  # where the best is 0, the worst is the highest
    ranked = sorted(rows, key=lambda key: (np.isnan(rows[key][headline]), sign * rows[key][headline]))  # all void: last
    with whole_file(out / "images.csv") as draft, draft.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["key", *rows[ranked[0]]])
        writer.writerows((key, *rows[key].values()) for key in ranked)
    if isinstance(scores, SemanticScores):
        save(confusion_picture(scores.confusion, measures.classes), out / "confusion_matrix.png")
    if "calibration" in scores.measures:
        from intarsia.draw.reliability import reliability

        save(reliability(scores.measures["calibration"].bins), out / "reliability.png")
    images = {name: metric.images() for name, metric in measures.metrics.items()}
    options = {name: metric.options for name, metric in measures.metrics.items()}
    about = {"classes": measures.classes.to_dict(), "task": measures.task, "options": options, **facts}
    arrays: dict[str, Any] = {}
    for name, counts in images.items():
        arrays |= _written(name, list(counts.values()), measures.metrics[name].ragged)
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
            measures = Measures(ClassSet.from_dict(about.pop("classes")), task, options)
            measures.metrics = {name: metric.alike(keys, _read(name, held)) for name, metric in measures.metrics.items()}
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(
            str(folder / COUNTS),
            expected="the counts that `intarsia evaluate --out` writes",
            received=str(error).splitlines()[0],
        ) from error
    return measures, about


def _written(name: str, counts: list[NDArray[Any]], ragged: bool) -> dict[str, NDArray[Any]]:
    """The counts of a measure as arrays: one of all images; where ragged the rows of all, and the lengths (I,)."""
    if not ragged:
        return {f"{name} counts": np.array(counts)}
    return {f"{name} counts": np.concatenate(counts), f"{name} lengths": np.array(list(map(len, counts)), np.int64)}


def _read(name: str, held: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """The inverse of `_written`."""
    counts = held[f"{name} counts"]
    return np.split(counts, np.cumsum(held[f"{name} lengths"])[:-1]) if f"{name} lengths" in held else counts  # type: ignore[return-value]
