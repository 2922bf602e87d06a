"""A network, or any predictor, over a whole split, to numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from accelerate.utils import broadcast, gather_object

from intarsia.core.catalogue import find
from intarsia.core.errors import DataError
from intarsia.engine.loader import Questions, questions
from intarsia.engine.network import segment
from intarsia.transforms import evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import nn

    from intarsia.core import ClassSet, Predictor, Segments
    from intarsia.data.dataset import Dataset
    from intarsia.engine.recipe import Recipe

    Each = Callable[[str, Segments, Segments], None]

__all__ = ["evaluate_network", "evaluate_predictor"]


def evaluate_network(
    network: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    precision: str = "fp32",
    batch_size: int = 8,
    workers: int = 0,
    each: Each | None = None,
    alone: bool = False,
) -> Any:
    """The metric of the recipe's task over `data`, accumulated but not yet computed; truth and prediction meet at file size.

    Classes are matched by name. Over several processes each takes its share of the images, none twice, and all get the whole: the
    counts are those of one process; or this process does it all `alone`, without waiting for others. `each(key, truth, prediction)`
    is called for the images of this process. Raises DataError where the images have other channels than the network takes.
    """
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
            yield from zip(batch.keys, truths, segment(network, batch, recipe, precision), strict=True)

    metric = _scored(answers(), data.classes, recipe.classes, recipe.task, each, gather=together)
    network.train(was_training)
    return metric


def evaluate_predictor(predictor: Predictor, data: Dataset, classes: ClassSet, task: str, *, each: Each | None = None) -> Any:
    """The same for anything that gives Segments of the classes `classes` for an image, one image at a time."""
    samples = (data[index] for index in _share(data))  # each file is read once
    answers = ((sample.key, sample.segments, predictor(sample.image)) for sample in samples)
    return _scored(answers, data.classes, classes, task, each, gather=PartialState().num_processes > 1)


def _share(data: Dataset) -> range:
    """The images of this process."""
    return range(PartialState().process_index, len(data), PartialState().num_processes)


def _scored(
    answers: Iterable[tuple[str, Segments | None, Segments]],
    classes: ClassSet,
    own: ClassSet,
    task: str,
    each: Each | None,
    *,
    gather: bool,
) -> Any:
    """The metric over (key, truth, answer) of all processes; `classes` are those of the truth, `own` those of the answers."""
    table = own.table_to(classes)
    if (table < 0).any():
        missing = [name for name, index in zip(own.names, table, strict=True) if index < 0]
        raise DataError(
            "evaluation", expected=f"data with the classes of the network {list(own.names)}", received=f"none named {missing}"
        )
    metric = find("metrics", task)(classes)
    for key, truth, answer in answers:
        if truth is None:
            raise DataError(key, expected="an image with truth", received="none", hint="Evaluate a labelled split.")
        prediction = answer.with_classes(table[answer.classes])
        metric.update(truth, prediction, key)
        if each is not None:
            each(key, truth, prediction)
    if not gather:
        return metric
    whole = find("metrics", task)(classes)
    for shard in gather_object([metric]):
        whole.merge(shard)
    return whole
