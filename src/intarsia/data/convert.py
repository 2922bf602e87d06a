"""convert: a data set from one format to another, and what is left out where the other has no room for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.catalogue import find
from intarsia.core.errors import CannotHold, DataError, check_names
from intarsia.data.folders import apart, whole_folder
from intarsia.data.holds import BACKGROUNDS, LOSABLE, background_of, inner_key
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.data.dataset import Dataset
    from intarsia.data.holds import Holds
    from intarsia.data.records import Reader, Record

__all__ = ["LOSABLE", "compare", "convert", "simplified"]


def convert(dataset: Dataset, path: Path, to: str, *, lose: Sequence[str] = (), **options: Any) -> str | None:
    """Writes a data set to a new folder in the format `to`, with the format's own `options`; gives what to tell of it, if any.

    Where the format cannot hold all of it, CannotHold tells beforehand what, and how many images have it; nothing is written. What
    `lose` names (see `LOSABLE`) is left out instead. The copy is read again before it comes to its place, which it does only if it
    has each image in its split with as many segments (see `compare`). Raises OptionError for another name, and for a folder that
    is not apart from that of the data.
    """
    if dataset.root is not None:
        apart(dataset.root, path, "out")
    check_names("lose", lose, LOSABLE, "things that may be left out")
    format = find("data.formats", to)
    wanted = simplified(dataset, format, lose) if lose else dataset
    with whole_folder(path) as folder:
        told: str | None = format.write(wanted, folder, **options)
        compare(format, folder, wanted)
    return told


def compare(format: Any, folder: Path, dataset: Dataset) -> None:
    """Raises CannotHold where a folder that the data set was written to does not give back each key in its split, and as many
    segments of each image.
    """
    try:
        copy = format.open(folder)
        want, got = ({(record.split, inner_key(record)): row for row, record in enumerate(one.records)} for one in (dataset, copy))
        wrong = [f"{key!r} in {split!r}" if split else repr(key) for split, key in sorted(want.keys() ^ got.keys())]
        # the names are others where reading takes an option, as for all labels of Cityscapes
        if not wrong and copy.classes.names == dataset.classes.names:
            pairs = ((dataset.segments(row), copy.segments(got[place]), place[1]) for place, row in want.items())
            wrong = [f"another number of segments in {key!r}" for a, b, key in pairs if _rows(a) != _rows(b)]
    except DataError as error:
        wrong = [str(error)]
    if wrong:
        raise CannotHold(
            f"{format.__name__} copy of {dataset.where}",
            expected="the same images and segments when it is read again",
            received=f"a difference at {'; '.join(wrong[:3])}{' ...' if len(wrong) > 3 else ''}",
            hint="Nothing was kept. Rename what is named here, or take another format.",
        )


def simplified(dataset: Dataset, format: Any, lose: Sequence[str]) -> Dataset:
    """The data set without what `lose` names and the format cannot hold; what it can hold stays, whether named or not."""
    holds = format.holds
    classes = _with_background(dataset.classes, holds, lose)
    held = format.held(classes) if "classes" in lose else classes
    records = dataset.records
    if "unlabelled" in lose and not holds.unlabelled:
        records = tuple(record for record in records if dataset.reader.segments(record) is not None)
    if "splits" in lose:
        kept = {record.split for record in records if holds.has_split(record.split)} - {""}
        rest = "" if not kept and holds.has_split("") else next(split for split in holds.splits or ("train",) if split)
        records = tuple(record if record.split in kept else replace(record, split=rest) for record in records)
    single = len(held) == len(dataset.classes) == 1  # which may have another name
    table = np.array([held.index_of.get(name, 0 if single else -1) for name in dataset.classes.names], np.int64)
    part = dataset.subset(records)
    behind = next((index for index, name in enumerate(held.names) if holds.fills and name in BACKGROUNDS), -1)
    part.reader = Simplified(dataset.reader, format, frozenset(lose), dataset.classes, table, behind)
    part.classes = held
    part.cache = type(part.cache)(dataset.cache.budget)  # what the other holds is not simplified
    return part


def _with_background(classes: ClassSet, holds: Holds, lose: Sequence[str]) -> ClassSet:
    """The classes without the background, or with one for what is nothing, first and black, where `lose` asks for that."""
    lost = background_of(classes)
    if "background" in lose and not holds.background and lost:
        place = classes.index(lost)
        groups = tuple(rest for group in classes.groups if (rest := tuple(name for name in group if name != lost)))
        names, colours = classes.names[:place] + classes.names[place + 1 :], classes.colours[:place] + classes.colours[place + 1 :]
        classes = replace(classes, names=names, colours=colours, groups=groups, nothing=True)
    if "nothing" in lose and holds.fills and classes.nothing:
        names, colours = (BACKGROUNDS[:1], ((0, 0, 0),)) if not set(BACKGROUNDS) & set(classes.names) else ((), ())
        groups = ((*names, *classes.groups[0]), *classes.groups[1:])
        classes = replace(classes, names=names + classes.names, colours=colours + classes.colours, groups=groups, nothing=False)
    return classes


@dataclass(frozen=True)
class Simplified:
    """Reads what another reader reads, and leaves out what is not wanted."""

    reader: Reader
    format: Any
    """A member of data/formats."""
    lose: frozenset[str]
    classes: ClassSet
    table: NDArray[np.int64]
    """(C,) the class in the new data set of each old one, -1 for one that is lost."""
    behind: int
    """The class in the new data set that nothing becomes, -1 for void."""

    def image(self, record: Record) -> NDArray[Any]:
        """As it is."""
        return self.reader.image(record)

    def grid(self, record: Record) -> dict[str, Any]:
        """As it is, or what the format holds of it."""
        grid, held = self.reader.grid(record), self.format.holds.grid
        if "grid" not in self.lose:
            return grid
        geo = {name: value for name, value in (grid.get("geo") or {}).items() if name in held}
        return {name: value for name, value in grid.items() if name in held} | ({"geo": geo} if geo else {})

    def content(self, record: Record) -> Iterator[bytes]:
        """That of the other, and what is left out."""
        yield from self.reader.content(record)
        yield " ".join(sorted(self.lose)).encode()

    def segments(self, record: Record) -> Segments | None:
        """Without what is not wanted."""
        segments = self.reader.segments(record)
        if segments is None:
            return None
        holds = self.format.holds.of(self.classes)
        lost = {what for what in self.lose if what == "empty" or getattr(holds, what, True) is False}
        lost |= {"order"} & self.lose if not holds.instances else set()
        if "scores" in lost:
            segments = replaced(segments, scores=np.ones(len(segments), np.float32))
        if "crowd" in lost and segments.crowd.any():
            segments = _without_crowd(segments, void=holds.void)
        if "instances" in lost:
            segments = trained_segments(segments, self.classes, "classes")
        if "overlap" in lost:
            segments = _flat(segments)
        if "background" in lost:
            segments = segments.select(self.table[segments.classes] >= 0)
        ids = segments.ids
        if "void" in lost:
            ids = np.maximum(ids, 0)
        if "nothing" in lost and self.behind < 0:
            ids = np.concatenate([np.where(ids[:1] == 0, -1, ids[:1]), ids[1:]])
        segments = segments.with_ids(ids).with_classes(self.table[segments.classes])
        if "nothing" in lost and self.behind >= 0:
            segments = _filled(segments, self.behind)
        if "order" in lost:
            segments = segments.select(np.argsort(segments.classes, kind="stable"))
        return segments.compact() if lost else segments


def _filled(segments: Segments, behind: int) -> Segments:
    """The segments with what is nothing as one of the class `behind`: its first where it has one, else a new one before all."""
    nothing = segments.ids[0] == 0
    own = np.flatnonzero(segments.classes == behind)
    if not nothing.any():
        return segments
    ids = segments.ids.astype(np.int32)
    if len(own):
        ids[0][nothing] = own[0] + 1
        return segments.with_ids(ids)
    ids[ids > 0] += 1
    ids[0][nothing] = 1
    vectors = {"scores": np.append(np.float32(1), segments.scores), "crowd": np.append(False, segments.crowd)}
    return type(segments)(ids, np.append(behind, segments.classes), **vectors)


def replaced(segments: Segments, **changes: Any) -> Segments:
    """The segments with other vectors."""
    vectors = {"scores": segments.scores, "crowd": segments.crowd} | changes
    return type(segments)(segments.ids, segments.classes, **vectors)


def _without_crowd(segments: Segments, *, void: bool) -> Segments:
    """The segments without crowds, whose pixels, where no other segment is, become void or nothing."""
    kept = segments.select(~segments.crowd)
    if not void:
        return kept
    crowd = np.isin(segments.ids, np.flatnonzero(segments.crowd) + 1).any(axis=0)
    ids = kept.ids.copy()
    ids[0][crowd & (kept.ids <= 0).all(axis=0)] = -1
    return kept.with_ids(ids)


def _flat(segments: Segments) -> Segments:
    """The segments in one layer: where they overlap the highest score wins, then the later row."""
    rank = np.argsort(np.lexsort((np.arange(len(segments)), segments.scores)))  # (N,) the place of each row, the winner last
    order = np.concatenate([[0], rank + 1, [0]])[segments.ids].max(axis=0)  # (L, *S) -> (*S)
    row = np.concatenate([[0], np.argsort(rank) + 1])[order]
    return segments.with_ids(np.where(segments.void, -1, row)[None])


def _rows(segments: Segments | None) -> int | None:
    return None if segments is None else len(segments)
