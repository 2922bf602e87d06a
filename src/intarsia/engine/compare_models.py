"""Two networks on the same images: each image is read once, and both answer it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DataError, OptionError
from intarsia.engine.compare import compare_measures, same_classes
from intarsia.engine.evaluate import table_of
from intarsia.engine.measures import Measures
from intarsia.engine.recipe import tasks_of
from intarsia.engine.run import Run, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intarsia.data.dataset import Dataset
    from intarsia.engine.compare import Comparison
    from intarsia.engine.network import Model

__all__ = ["common_data", "compare_models"]


def common_data(a: object, b: object) -> Dataset:
    """The data that the runs of two networks were trained on; DataError where they differ."""
    run, other = run_of(a), run_of(b)
    wanted, found = run.facts["data_hash"], other.facts["data_hash"]
    if wanted != found:
        raise DataError(
            "compare",
            expected=f"runs on the same data, hash {wanted} as of {run.folder}",
            received=f"hash {found} of {other.folder}",
            hint="Name data to compare on that neither has been trained on.",
        )
    return run.open_data()


def compare_models(
    a: Model, b: Model, data: Dataset, *, measures: Mapping[str, Mapping[str, Any]], sources: tuple[object, object]
) -> Comparison:
    """B against A on `data`, at the size of each file; `sources` is where they come from.

    Before an image is answered raises OptionError where they are asked different tasks, and DataError for other classes and for
    what is wrong with the files.
    """
    task = _same_task(a, b)
    same_classes(a.classes, b.classes)
    counted = Measures(data.classes, task, measures), Measures(data.classes, task, measures)
    tables = [table_of(model.classes, data.classes) for model in (a, b)]
    data.check()
    for sample in data:
        if sample.segments is None:
            raise DataError(sample.key, expected="an image with truth", received="none", hint="Compare on a labelled split.")
        for model, metric, table in zip((a, b), counted, tables, strict=True):
            answer = model(sample.image, confidence=metric.confident)
            metric.update(sample.segments, answer.with_classes(table[answer.classes]), sample.key)
    return compare_measures(*counted, *(_name(source, which) for source, which in zip(sources, "AB", strict=True)))


def _same_task(a: Model, b: Model) -> str:
    """The task that both are asked; OptionError where it is not one."""
    first, second = a.recipe.task, b.recipe.task
    if first != second:
        shared = [task for task in tasks_of(a.recipe.model) if task in tasks_of(b.recipe.model)]
        hint = f"Ask both one that they can answer: --task {shared[0]}." if shared else "There is none that both can answer."
        raise OptionError("compare", expected="one task of both networks", received=f"{first} of A, {second} of B", hint=hint)
    return first


def _name(source: object, which: str) -> str:
    """A path as it was given, the folder of a run; a network in memory has no name but A or B."""
    if isinstance(source, Run):
        return str(source.folder)
    return str(source) if isinstance(source, str | Path) else f"network {which}"
