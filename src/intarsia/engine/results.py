"""What an evaluation of a network leaves behind: scores, a row per image, charts, and pictures of the worst and of some others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from intarsia.data.dataset import evenly_spaced
from intarsia.draw.comparison import comparison
from intarsia.draw.save import save
from intarsia.engine.evaluate import evaluate_network, evaluate_predictor, table_of
from intarsia.engine.measures import Measures
from intarsia.engine.options import TRAINED
from intarsia.engine.saved import write_scores
from intarsia.engine.spelling import spelled
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from intarsia.data.dataset import Dataset
    from intarsia.engine.network import Model

__all__ = ["evaluate_and_draw"]

PICTURES = 4
"""Worst images drawn, and as many evenly spaced ones."""


def evaluate_and_draw(
    model: Model,
    data: Dataset,
    out: Path | None,
    *,
    split: str,
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    batch_size: int = 8,
    workers: int = 0,
) -> Any:
    """The scores of `model` on `data`, by further `measures` too; into `out`, if given, what `write_scores` writes, and comparisons
    as truth | prediction | error, the worst images as worst_1_KEY.png on, evenly spaced ones as KEY.png.
    """
    if model.flip:
        predictor = partial(model, confidence=Measures(data.classes, model.recipe.task, measures).confident)
        metric = evaluate_predictor(predictor, data, model.classes, model.recipe.task, measures=measures)
    else:
        metric = evaluate_network(
            model.network,
            data,
            model.recipe,
            precision=model.precision,
            batch_size=batch_size,
            workers=workers,
            measures=measures,
            alone=True,
        )
    scores: Any = metric.compute()
    if out is None:
        return scores
    rows = write_scores(metric, scores, out, {"split": split, "images": len(data), "data_hash": data.fingerprint()})
    worst = list(rows)[:PICTURES]
    spaced = [data.keys[index] for index in evenly_spaced(len(data), PICTURES)]
    names = {key: f"{key}.png" for key in spaced} | {key: f"worst_{rank}_{key}.png" for rank, key in enumerate(worst, 1)}
    objects, which = model.recipe.task != "semantic", TRAINED[model.recipe.task]
    table = table_of(model.classes, data.classes)
    for key, name in names.items():  # a key may hold the folder of its split
        sample = data[data.keys.index(key)]
        if sample.segments is not None:
            title = f"{key}: {spelled(metric.headline)} {rows[key][metric.headline]:.3f}"
            answer = model.shown(sample.image)
            answer = answer.with_classes(table[answer.classes])
            truth = trained_segments(sample.segments, data.classes, which) if objects else sample.segments
            page = comparison(sample.image, truth, answer, data.classes, title=title, objects=objects)
            save(page, out / name.replace("/", "_"))
    return scores
