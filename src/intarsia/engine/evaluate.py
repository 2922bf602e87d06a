"""A predictor or a network over a whole split, to numbers."""

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
    from collections.abc import Callable, Sequence

    from torch import nn

    from intarsia.core import Sample
    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.engine.network import Recipe

__all__ = ["evaluate_network"]


def evaluate_network(
    network: nn.Module,
    data: Sequence[Sample],
    classes: ClassSet,
    recipe: Recipe,
    *,
    precision: str = "fp32",
    batch_size: int = 8,
    workers: int = 0,
    each: Callable[[str, Segments, Segments], None] | None = None,
) -> Any:
    """The metric of the recipe's task over `data`, accumulated but not yet computed; truth and prediction meet at file size.

    Classes are matched by name: `classes` are the data's. Over several processes each takes its share of the images, none twice,
    and all get the whole: the counts are those of one process. `each(key, truth, prediction)` is called for the images of this one.
    """
    rank = PartialState()
    same_classes = classes.names == recipe.classes.names
    table = recipe.classes.table_to(classes)
    if not same_classes and (table < 0).any():
        missing = [name for name, index in zip(recipe.classes.names, table, strict=True) if index < 0]
        raise DataError(
            "evaluation",
            expected=f"data with the classes of the network {list(recipe.classes.names)}",
            received=f"none named {missing}",
        )
    metric = find("metrics", recipe.task)(classes)
    asked = Questions(data, recipe.pixels, evaluation(recipe.size))
    share = range(rank.process_index, len(data), rank.num_processes)
    if rank.num_processes > 1:  # running statistics of batch norm differ from process to process
        for buffer in network.buffers():
            broadcast(buffer)
    was_training = network.training
    network.eval()
    for batch, truths in questions(asked, share, batch_size=batch_size, workers=workers):
        answers = segment(network, batch, recipe, precision)
        for key, truth, answer in zip(batch.keys, truths, answers, strict=True):
            if truth is None:
                raise DataError(key, expected="an image with truth", received="none", hint="Evaluate a labelled split.")
            prediction = answer if same_classes else answer.with_classes(table[answer.classes])
            metric.update(truth, prediction, key)
            if each is not None:
                each(key, truth, prediction)
    network.train(was_training)
    if rank.num_processes > 1:
        shards = gather_object([metric])
        metric = find("metrics", recipe.task)(classes)
        for shard in shards:
            metric.merge(shard)
    return metric
