"""What the metrics share: counts kept by update, merged by shard, gathered by image, scored, with intervals over images."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from intarsia.core.errors import IntarsiaError, InvalidNoun, OptionError
from intarsia.core.segments import narrow
from intarsia.ops.bootstrap import bootstrap_intervals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Counted", "check_number", "check_pair", "counted_classes", "holds", "label_maps", "mean_defined", "ratio"]


class Counted:
    """A metric that keeps what each image adds, so that shards merge and images can be drawn anew.

    A metric says what one image adds (`update` calls `_add`), what of it is summed (`sums`) and what scores follow (`scores`). One
    whose scores do not follow from sums overrides `weighted` instead. Where it is `ragged`, an image adds rows, any number of them.
    """

    perfect: ClassVar[dict[str, float]]
    """What (truth, truth) scores, by name in `to_dict`; where that is 0, less is better."""
    headline: ClassVar[str]
    """The score that tells most: it picks the best weights, ranks images, and is what two evaluations are judged by."""
    told: ClassVar[tuple[str, ...]] = ()
    """The scores that a training tells after an epoch."""
    by_class: ClassVar[tuple[str, ...]] = ()
    """The scores that there is one of for each class."""
    confident: ClassVar[bool] = False
    """Whether it reads the confidence of the prediction."""
    ragged: ClassVar[bool] = False
    """Whether the counts of an update are rows (n, ...), n its own."""

    def __init__(
        self,
        classes: ClassSet,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        keys: Iterable[str],
        counts: Iterable[ArrayLike] | None,
        options: Mapping[str, Any],
    ) -> None:
        """`shape` is that of an update's counts, or of each row of them."""
        self.classes = classes
        self.options = dict(options)
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._keys = list(keys)
        given = [np.zeros(shape, dtype)] * len(self._keys) if counts is None else [np.asarray(count, dtype) for count in counts]
        shapes = [count.shape[1:] if self.ragged else count.shape for count in given]
        if shapes != [shape] * len(self._keys):
            expected = f"{len(self._keys)} of shape {shape}" + " by row" * self.ragged
            other = next((count.shape for count, own in zip(given, shapes, strict=True) if own != shape), shape)
            raise InvalidNoun(f"{type(self).__name__} counts", expected=expected, received=f"{len(given)} of {other}")
        self._counts = given

    @property
    def keys(self) -> list[str]:
        """The key of each update."""
        return list(self._keys)

    @property
    def counts(self) -> Any:
        """What each update added: an array (updates, ...), or where ragged a list."""
        return list(self._counts) if self.ragged else np.array(self._counts, self._dtype).reshape(-1, *self._shape)

    def _add(self, key: str, count: NDArray[Any]) -> None:
        self._keys.append(key)
        self._counts.append(count)

    def alike(self, keys: Iterable[str] = (), counts: Iterable[ArrayLike] | None = None) -> Self:
        """Another with the same classes and options: empty, or over these counts."""
        return type(self)(self.classes, keys=keys, counts=counts, **self.options)

    def merge(self, other: Self) -> None:
        """Add what another shard has counted; the result is that of one metric over both."""
        if other.classes != self.classes:
            raise InvalidNoun("merge", expected=f"the classes {list(self.classes.names)}", received=list(other.classes.names))
        if other.options != self.options:
            raise InvalidNoun("merge", expected=f"the options {self.options}", received=other.options)
        self._keys += other._keys
        self._counts += other._counts

    def images(self) -> dict[str, NDArray[Any]]:
        """What each image added: updates of one key summed, or where ragged all their rows, in an order that is not that of the
        updates; an update without a key is an image of its own, named by its number.
        """
        images: dict[str, list[NDArray[Any]]] = {}
        for number, (key, count) in enumerate(zip(self._keys, self._counts, strict=True)):
            images.setdefault(key or f"\0{number}", []).append(count)  # no key is like it
        return {key: self._joined(parts) for key, parts in images.items()}

    def _joined(self, parts: list[NDArray[Any]]) -> NDArray[Any]:
        """The counts of one image from those of its updates."""
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(sorted(parts, key=lambda part: part.tobytes())) if self.ragged else np.asarray(np.sum(parts, axis=0))

    def truth(self, count: NDArray[Any]) -> NDArray[Any]:
        """What of an image's counts says what its truth is: two evaluations of one image have it in common. By default nothing."""
        return count[:0]

    def best(self, name: str) -> float | None:
        """What a perfect answer has in that score: where it is 0, less is better; None where neither more nor less is."""
        return self.perfect.get(name.removeprefix("class_"), self.perfect.get(f"mean_{name}"))

    def ordered_as(self, classes: ClassSet) -> Self:
        """The same counts for the same classes in another order."""
        if classes.names == self.classes.names:
            return self
        order = classes.table_to(self.classes)
        return type(self)(classes, keys=self._keys, counts=self._ordered(self.counts, order), **self.options)

    def _ordered(self, counts: Any, order: NDArray[np.int64]) -> Any:
        """`counts` (I, C, ...), or where ragged a list of them, with class `order[k]` in the place of k."""
        return counts[:, order]

    def weighted(self, counts: Sequence[NDArray[Any]], weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Each score, (R,), or (R, C) by class, of R draws of I images, of these counts: draw r holds image i `weights[r, i]`
        times, a whole number from 0 on. A draw scores what the metric would over its images, each counted as often.
        """
        return self.scores(weights @ self.sums(np.array(counts, self._dtype)))  # (R, I) @ (I, K) -> (R, K)

    def sums(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """(I, K) what is summed over images, of their counts (I, ...)."""
        return counts.reshape(len(counts), -1).astype(np.float64)

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Each score, (R,), or (R, C) by class, of R rows of sums over images."""
        raise NotImplementedError

    def computed(self, intervals: int, seed: int) -> tuple[list[NDArray[Any]], dict[str, Any], dict[str, NDArray[np.float64]]]:
        """The counts of the images, the scores by name, and for each its interval (2,) or (C, 2); none for a single image.

        Raises IntarsiaError when nothing was counted.
        """
        if not self._counts:
            raise IntarsiaError(type(self).__name__, expected="at least one update before compute", received="none")
        images = self.images()
        named = {key: key if self.ragged and not key.startswith("\0") else "" for key in images}  # ties go to the earlier key
        counts = [images[key] for key in sorted(images, key=lambda key: (named[key], images[key].tobytes()))]  # however they came
        values = {name: value[0] for name, value in self.weighted(counts, np.ones((1, len(counts)))).items()}
        ends: dict[str, NDArray[np.float64]] = {}
        if intervals and len(counts) > 1:
            ends = bootstrap_intervals(len(counts), partial(self.weighted, counts), rounds=intervals, seed=seed)
        return counts, {name: float(value) if np.ndim(value) == 0 else value for name, value in values.items()}, ends


def label_maps(
    truth: Segments, prediction: Segments, classes: ClassSet, key: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], NDArray[np.bool_] | None]]:
    """For each group of classes: its members, the maps (*S) of truth and prediction, and where the truth is known.

    Maps hold the class index and C for nothing of the group; C + 1 where the prediction is void, and -1 where the truth is.
    `known` is None where all is. Classes of one group exclude each other, so one map holds them all. Groups are independent: a
    pixel may carry a class of each, and a class's pixels are then those of all its rows, over all layers. Raises InvalidNoun for
    other sizes or classes.
    """
    check_pair(truth, prediction, classes, key)
    for group in classes.groups:
        members = np.array([classes.index_of[name] for name in group])
        both = (truth, prediction)
        if len(classes.groups) > 1:
            both = (truth.select(np.isin(truth.classes, members)), prediction.select(np.isin(prediction.classes, members)))
        wanted, given = (segments.semantic(len(classes)) for segments in both)
        if prediction.void.any():
            given = np.where(given < 0, len(classes) + 1, given.astype(narrow(-1, len(classes) + 1), copy=False))
        yield members, wanted, given, ~truth.void if truth.void.any() else None


def holds(labels: NDArray[Any], known: NDArray[np.bool_] | None, count: int) -> NDArray[np.bool_]:
    """(count,) whether any `known` pixel has each of the labels 0..count-1."""
    seen = labels.reshape(-1) if known is None else labels[known]
    return np.bincount(seen, minlength=count)[:count] > 0


def check_pair(truth: Segments, prediction: Segments, classes: ClassSet, key: str) -> None:
    """Raises InvalidNoun unless both have one size, and classes of the set."""
    if truth.size != prediction.size:
        raise InvalidNoun(f"prediction {key!r}", expected=f"the truth's size {truth.size}", received=prediction.size)
    for name, segments in (("truth", truth), ("prediction", prediction)):
        segments.check_classes(len(classes), name)


def counted_classes(classes: ClassSet) -> NDArray[np.bool_]:
    """(C,) the classes whose objects are asked for: the things, or all where none is a thing."""
    return classes.is_thing if classes.is_thing.any() else ~classes.is_thing


def check_number(what: str, value: Any, right: Callable[[Any], bool], expected: str) -> None:
    """Raises OptionError unless `value` is a number that is `right`.

    >>> check_number("surface tolerance", 2.0, lambda distance: distance >= 0, "a distance from 0 on")
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not right(value):
        raise OptionError(what, expected=expected, received=value)


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) the mean of the defined values of (R, C); nan where none is."""
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)
    return mean


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, nan for 0 / 0: not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part / whole, np.float64)
