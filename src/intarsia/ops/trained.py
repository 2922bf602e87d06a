"""Which segments are trained: the one place where semantic, instance and panoptic truth part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from intarsia.core.errors import OptionError, nearest
from intarsia.core.segments import Segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet

__all__ = ["Which", "trained_segments"]

Which = Literal["all", "things", "classes"]


def trained_segments(segments: Segments, classes: ClassSet, which: Which) -> Segments:
    """The segments that are trained: "all" (panoptic), the "things" only (instance), or merged by "classes" (semantic).

    "all": several rows of one kind of stuff are one, as no network tells them apart; crowd rows stay.
    "things": the pixels of stuff become nothing; crowd rows stay, and stay marked.
    "classes": one row for each class that has pixels, in the order of the class set, crowd or not, for a crowd of cars is car and
    a class is not counted; its score is the highest of its rows. Within a group classes exclude each other, so where rows overlap
    the winner of `Segments.semantic` keeps the pixel; each group has a layer of its own.
    Void stays void. Raises OptionError for any other word and InvalidNoun for classes that are not in the set.

    >>> from intarsia.core import ClassSet
    >>> street = ClassSet(("road", "car"), things=("car",))
    >>> cars = Segments([[[1, 2, 3, -1]]], [1, 0, 1])
    >>> trained_segments(cars, street, "things").ids.tolist(), trained_segments(cars, street, "classes").ids.tolist()
    ([[[1, 0, 2, -1]]], [[[2, 1, 2, -1]]])
    """
    if which not in get_args(Which):
        raise OptionError("trained", expected="all, things or classes", received=repr(which), hint=nearest(which, get_args(Which)))
    segments.check_classes(len(classes))
    if which == "things":
        return segments.select(classes.is_thing[segments.classes])
    return (_merged if which == "classes" else _one_of_each_stuff)(segments, classes)


def _one_of_each_stuff(segments: Segments, classes: ClassSet) -> Segments:
    """One row for each class of stuff, but for crowds; itself where it is so."""
    plain = ~classes.is_thing[segments.classes] & ~segments.crowd
    kept, rows = np.ones(len(segments), np.bool_), np.arange(len(segments))
    for label in np.unique(segments.classes[plain]):
        first, *others = np.flatnonzero(plain & (segments.classes == label)).tolist()
        rows[others], kept[others] = first, False
    if kept.all():
        return segments
    places = np.cumsum(kept)[rows]  # from 1 on
    scores = np.zeros(len(segments), np.float32)
    np.maximum.at(scores, rows, segments.scores)
    ids = np.array([0, *places, -1]).take(segments.ids, mode="wrap")
    merged = Segments(ids, segments.classes[kept], scores=scores[kept], crowd=segments.crowd[kept])
    return merged if segments.confidence is None else merged.with_confidence(segments.confidence)


def _merged(segments: Segments, classes: ClassSet) -> Segments:
    """One row per class, one layer per group."""
    count = len(classes)
    if len(classes.groups) > 1:
        return _grouped(segments, classes)
    if len(segments.ids) == 1 and not segments.crowd.any() and (np.diff(segments.classes) > 0).all():
        return segments.compact()  # they are; every picture of a semantic training comes by here
    merged = Segments.from_semantic(segments.semantic(count), count)
    scores = _scores(segments, count)[merged.classes]
    return Segments(merged.ids, merged.classes, scores=scores, confidence=segments.confidence)


def _grouped(segments: Segments, classes: ClassSet) -> Segments:
    """The same where groups are independent."""
    count = len(classes)
    row_of = np.arange(1, count + 3)  # by class, then nothing, then void
    row_of[count:] = 0, -1
    layers = []
    for group in classes.groups:
        members = segments.select(np.isin(segments.classes, [classes.index(name) for name in group]))
        layers.append(row_of[members.semantic(count)])
        row_of[-1] = 0  # void is said in layer 0 only
    scores = _scores(segments, count)
    return Segments(np.stack(layers), np.arange(count), scores=scores, confidence=segments.confidence).compact()


def _scores(segments: Segments, count: int) -> NDArray[np.float32]:
    """(count,) the highest score of each class."""
    scores = np.zeros(count, np.float32)
    np.maximum.at(scores, segments.classes, segments.scores)
    return scores
