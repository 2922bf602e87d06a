"""The metric of a task and the further measures that were asked for, counted in one pass over the images. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from intarsia.core.catalogue import find
from intarsia.core.errors import IntarsiaError, OptionError, check_names, nearest
from intarsia.engine.options import TRAINED
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["Measures", "asked_for"]

STATE = ("classes", "keys", "counts")
"""What every metric takes; the rest of its arguments are options."""
BLOCK = 64
"""Images scored one by one in one call."""


def asked_for(
    measures: Iterable[str] | Mapping[str, Mapping[str, Any]], arguments: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """The options of each measure, from their names or a mapping, and from arguments such as {"surface.tolerance": 2}.

    Raises OptionError for an unknown measure, with the nearest, and for an argument of none of them.

    >>> asked_for(["boundary", "surface"], {"surface.tolerance": 2})
    {'boundary': {}, 'surface': {'tolerance': 2}}
    """
    given: Mapping[str, Mapping[str, Any]] = measures if isinstance(measures, Mapping) else {name: {} for name in measures}
    for measure in given:
        find("metrics", measure)
    options = {name: dict(chosen) for name, chosen in given.items()}
    for argument, value in (arguments or {}).items():
        name, _, option = argument.rpartition(".")
        if name in TRAINED:  # the metric of a task is counted without being named
            options.setdefault(name, {})
        if name not in options:
            known = f"a MEASURE of {list(options)}" if options else "a MEASURE named with --measures"
            raise OptionError(
                f"--measure-args {argument}",
                expected=f"MEASURE.OPTION=VALUE, with {known}",
                received=repr(name or argument),
                hint=nearest(name or argument, options) if options else "",
            )
        options[name][option] = value
    return options


class Measures:
    """Metrics of one set of images: under the contract of a metric itself, its scores those of the task with `measures` filled."""

    def __init__(self, classes: ClassSet, task: str = "semantic", asked: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Raises OptionError for an unknown measure or an option it does not take, with the nearest."""
        self.classes = classes
        self.task = task
        wanted = {task: {}, **(asked or {})}
        self.metrics: dict[str, Any] = {name: _made(name, classes, options) for name, options in wanted.items()}

    @property
    def confident(self) -> bool:
        """Whether one of them reads the confidence of the prediction."""
        return any(metric.confident for metric in self.metrics.values())

    @property
    def keys(self) -> list[str]:
        """The key of each update."""
        keys: list[str] = self.metrics[self.task].keys
        return keys

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image in each; for panoptic quality several rows of one kind of stuff in the truth are one."""
        if self.task == "panoptic":
            truth = trained_segments(truth, self.classes, "all")
        for metric in self.metrics.values():
            metric.update(truth, prediction, key)

    def merge(self, other: Self) -> None:
        """Add what another shard has counted."""
        for name, metric in self.metrics.items():
            metric.merge(other.metrics[name])

    def compute(self, intervals: int = 1000, seed: int = 0) -> Any:
        """The scores of the task; those of the further measures are in their `measures`, by name."""
        scores = {name: metric.compute(intervals, seed) for name, metric in self.metrics.items()}
        own: Any = scores.pop(self.task)
        return replace(own, measures=scores) if scores else own

    @property
    def headline(self) -> str:
        """The score of the task that tells most, such as `mean_iou`."""
        name: str = self.metrics[self.task].headline
        return name

    def by_image(self) -> dict[str, dict[str, float]]:
        """For each image, by its key, its own scores that are one number: the headline, and those of the further measures."""
        columns: dict[str, NDArray[np.float64]] = {}
        for name, metric in self.metrics.items():
            images = metric.images()
            values = _alone(metric, list(images.values()))
            columns |= {score: value for score, value in values.items() if value.ndim == 1 and name != self.task}
            if name == self.task:
                keys, columns[self.headline] = list(images), values[self.headline]
        return {key: {score: float(values[row]) for score, values in columns.items()} for row, key in enumerate(keys)}


def _alone(metric: Any, counts: list[NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Each score, (I,) or (I, C), of each of I images alone."""
    blocks = [counts[start : start + BLOCK] for start in range(0, len(counts), BLOCK)]
    parts = [metric.weighted(block, np.eye(len(block))) for block in blocks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _made(name: str, classes: ClassSet, options: Mapping[str, Any]) -> Any:
    """The metric of that name. Raises OptionError for an option that it does not take, or a value that it cannot be made with."""
    make = find("metrics", name)
    known = [option for option in signature(make).parameters if option not in STATE]
    check_names(f"measure {name!r}", options, known, f"one of its options {known}")
    try:
        return make(classes, **options)
    except IntarsiaError:
        raise
    except (TypeError, ValueError) as error:  # of a metric that does not check its options itself
        raise OptionError(
            f"measure {name!r}", expected=f"values it can take for {known}", received=f"{options}: {error}"
        ) from error
