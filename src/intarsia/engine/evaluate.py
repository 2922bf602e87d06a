"""A network, or any predictor, over a whole split, to numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from accelerate.utils import broadcast, gather_object

from intarsia.core.errors import DataError, few
from intarsia.engine.loader import Questions, questions
from intarsia.engine.measures import Measures
from intarsia.engine.network import segment
from intarsia.transforms import evaluation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from intarsia.core import ClassSet, Predictor, Segments
    from intarsia.data.dataset import Dataset
    from intarsia.engine.recipe import Recipe

    Asked = Mapping[str, Mapping[str, Any]]

__all__ = ["evaluate_network", "evaluate_predictor", "table_of"]

NAMED = "Options of the format name them, as in the training: --data-args objects=NAME, or a class file."
SHOWN = 5
"""The classes that an error names."""


def evaluate_network(
    network: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    precision: str = "fp32",
    batch_size: int = 8,
    workers: int = 0,
    measures: Asked | None = None,
    alone: bool = False,
) -> Measures:
    """The metric of the recipe's task over `data`, and further `measures` with their options, accumulated but not yet computed.

    Truth and prediction meet at file size. Classes are matched by name. Over several processes each takes its share of the images,
    none twice, and all get the whole: the counts are those of one process; or this process does it all `alone`, without waiting for
    others. Raises DataError where the images have other channels than the network takes.
    """
    metric = Measures(data.classes, recipe.task, measures)
    if (found := data[0].image.shape[-1]) != recipe.in_channels:
        raise DataError(data.where, expected=f"images of {recipe.in_channels} channels, as in training", received=found)
    together = PartialState().num_processes > 1 and not alone
    share = _share(data) if together else range(len(data))
    if together:  # running statistics of batch norm differ from process to process
        for buffer in network.buffers():
            broadcast(buffer)
    asked = Questions(data, recipe.pixels, evaluation(recipe.size))
    was_training = network.training
    network.eval()

    def answers() -> Iterator[tuple[str, Segments | None, Segments]]:
        for batch, truths in questions(asked, share, batch_size=batch_size, workers=workers):
            yield from zip(batch.keys, truths, segment(network, batch, recipe, precision, confidence=sure), strict=True)

    sure = metric.confident
    whole = _scored(metric, answers(), recipe.classes, gather=together)
    network.train(was_training)
    return whole


def evaluate_predictor(
    predictor: Predictor, data: Dataset, classes: ClassSet, task: str, *, measures: Asked | None = None
) -> Measures:
    """The same for anything that gives Segments of the classes `classes` for an image, one image at a time."""
    samples = (data[index] for index in _share(data))  # each file is read once
    answers = ((sample.key, sample.segments, predictor(sample.image)) for sample in samples)
    return _scored(Measures(data.classes, task, measures), answers, classes, gather=PartialState().num_processes > 1)


def _share(data: Dataset) -> range:
    """The images of this process."""
    return range(PartialState().process_index, len(data), PartialState().num_processes)


def _scored(metric: Measures, answers: Iterable[tuple[str, Segments | None, Segments]], own: ClassSet, *, gather: bool) -> Measures:
    """`metric` over (key, truth, answer) of all processes; `own` are the classes of the answers."""
    table = table_of(own, metric.classes)
    for key, truth, answer in answers:
        if truth is None:
            raise DataError(key, expected="an image with truth", received="none", hint="Evaluate a labelled split.")
        metric.update(truth, answer.with_classes(table[answer.classes]), key)
    if gather:
        first, *others = gather_object([metric])
        for shard in others:
            first.merge(shard)
        metric = first
    return metric


def table_of(own: ClassSet, classes: ClassSet) -> NDArray[np.int64]:
    """(C,) the index among the `classes` of the data of each class of a network; DataError where one is not there."""
    table = own.table_to(classes)
    if (table < 0).any():
        missing = [name for name, index in zip(own.names, table, strict=True) if index < 0]
        expected = f"data with the classes of the network: {few(own.names, SHOWN)}"
        received = f"none named {few(missing, SHOWN)} among {few(classes.names, SHOWN)}"
        raise DataError("evaluation", expected=expected, received=received, hint=NAMED)
    return table
