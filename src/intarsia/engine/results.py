"""What an evaluation leaves behind: scores, a row per image, a confusion matrix, and pictures of the worst and of some others."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.catalogue import find
from intarsia.core.files import whole_file, write_json
from intarsia.draw.comparison import comparison
from intarsia.draw.confusion import confusion_picture
from intarsia.draw.save import save
from intarsia.engine.evaluate import evaluate_network, evaluate_predictor

if TYPE_CHECKING:
    from pathlib import Path

    from intarsia.core import Segments
    from intarsia.data.dataset import Dataset
    from intarsia.engine.network import Model

__all__ = ["evaluate_and_draw"]

PICTURES = 4
"""Worst images drawn, and as many evenly spaced ones."""


def evaluate_and_draw(model: Model, data: Dataset, out: Path | None, *, split: str, batch_size: int = 8, workers: int = 0) -> Any:
    """The scores of `model` on `data`; into `out`, if given: scores.json, images.csv, confusion_matrix.png, and comparisons as
    truth | prediction | error, the worst images as worst_1_KEY.png on, evenly spaced ones as KEY.png.
    """
    per_image: dict[str, float] = {}

    def note(key: str, truth: Segments, prediction: Segments) -> None:
        single = find("metrics", model.recipe.task)(data.classes)
        single.update(truth, prediction, key)
        per_image[key] = single.compute(intervals=0).mean_iou

    drawn = note if out is not None else None
    if model.flip:
        metric = evaluate_predictor(model, data, model.classes, model.recipe.task, each=drawn)
    else:
        metric = evaluate_network(
            model.network,
            data,
            model.recipe,
            precision=model.precision,
            batch_size=batch_size,
            workers=workers,
            each=drawn,
            alone=True,
        )
    scores: Any = metric.compute()
    if out is None:
        return scores
    write_json(out / "scores.json", {"split": split, "images": len(data), **scores.to_dict()})
    ranked = sorted(per_image, key=lambda key: (np.isnan(per_image[key]), per_image[key]))  # all void: neither good nor bad
    with whole_file(out / "images.csv") as draft, draft.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["key", "mean_iou"])
        writer.writerows((key, per_image[key]) for key in ranked)
    save(confusion_picture(scores.confusion, data.classes), out / "confusion_matrix.png")
    worst = ranked[:PICTURES]
    spaced: list[str] = [data.keys[int(index)] for index in np.linspace(0, len(data) - 1, min(PICTURES, len(data)))]
    names = {key: f"{key}.png" for key in spaced} | {key: f"worst_{rank}_{key}.png" for rank, key in enumerate(worst, 1)}
    for key, name in names.items():  # a key may hold the folder of its split
        sample = data[data.keys.index(key)]
        if sample.segments is not None:
            title = f"{key}: mean IoU {per_image[key]:.3f}"
            save(
                comparison(sample.image, sample.segments, model(sample.image), data.classes, title=title),
                out / name.replace("/", "_"),
            )
    return scores
