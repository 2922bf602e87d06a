"""convert: a data set from one format to another, and what is left out where the other has no room for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.catalogue import find
from intarsia.core.errors import CannotHold, check_names
from intarsia.data.holds import Fault, losses
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments
    from intarsia.data.dataset import Dataset
    from intarsia.data.records import Reader, Record

__all__ = ["LOSABLE", "convert", "simplified"]

LOSABLE = {
    "classes": "colours, which are things, the name of void: what the format does not tell of classes",
    "splits": "the split of images whose split has no place",
    "overlap": "what of a segment lies under another",
    "instances": "which object of its class a pixel is of",
    "order": "the order of segments",
    "crowd": "crowds: their pixels become void, or nothing",
    "scores": "the scores of segments",
    "void": "which pixels are void: they become nothing",
    "nothing": "which pixels are nothing: they become void",
    "empty": "segments without pixels",
    "unlabelled": "images without truth",
}
"""What may be left out, and what that means."""


def convert(dataset: Dataset, path: Path, to: str, *, lose: Sequence[str] = (), **options: Any) -> None:
    """Writes a data set to a new folder in the format `to`, with the format's own `options`.

    Where the format cannot hold all of it, CannotHold tells beforehand what, and how many images have it; nothing is written. What
    `lose` names (see `LOSABLE`) is left out instead. Raises OptionError for another name.
    """
    check_names("lose", lose, LOSABLE, "things that may be left out")
    format = find("data.formats", to)
    wanted = simplified(dataset, format, lose) if lose else dataset
    found = losses(format, wanted)
    if found:
        told = "; ".join(f"{what}: {_told(fault, count)}" for what, (fault, count) in found.items())
        droppable = [what for what in found if what in LOSABLE and what not in lose]
        way_out = f" To leave that out: lose={' '.join(droppable)}." if len(droppable) == len(found) else ""
        raise CannotHold(
            f"{to} cannot hold {dataset.where}",
            expected="what it has room for",
            received=told,
            hint=f"Nothing was written.{way_out}",
        )
    format.write(wanted, path, **options)


def simplified(dataset: Dataset, format: Any, lose: Sequence[str]) -> Dataset:
    """The data set without what `lose` names and the format cannot hold; what it can hold stays, whether named or not."""
    classes, holds = dataset.classes, format.holds
    held = format.held(classes) if "classes" in lose else classes
    records = dataset.records
    if "unlabelled" in lose and not holds.unlabelled:
        records = tuple(record for record in records if dataset.reader.segments(record) is not None)
    if "splits" in lose:
        places = holds.splits or ("train", "val", "test")
        mixed = len({bool(record.split) for record in records}) == 2
        records = tuple(
            record if record.split in places and not (mixed and not record.split) else replace(record, split=_other(places, mixed))
            for record in records
        )
    table = np.array([held.index_of.get(name, 0 if len(held) == 1 else -1) for name in classes.names], np.int64)
    part = dataset.subset(records)
    part.reader = Simplified(dataset.reader, format, frozenset(lose), classes, table)
    part.classes = held
    part.cache = type(part.cache)(0)  # what it holds is not simplified
    return part


@dataclass(frozen=True)
class Simplified:
    """Reads what another reader reads, and leaves out what is not wanted."""

    reader: Reader
    format: Any
    """A member of data/formats."""
    lose: frozenset[str]
    classes: ClassSet
    table: NDArray[np.int64]
    """(C,) the class in the new data set of each old one."""

    def image(self, record: Record) -> NDArray[Any]:
        """As it is."""
        return self.reader.image(record)

    def grid(self, record: Record) -> dict[str, Any]:
        """As it is."""
        return self.reader.grid(record)

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
        lost = {what for what in self.lose if what in ("order", "empty") or getattr(holds, what, True) is False}
        if "scores" in lost:
            segments = replaced(segments, scores=np.ones(len(segments), np.float32))
        if "crowd" in lost and segments.crowd.any():
            segments = _without_crowd(segments, void=holds.void)
        if "instances" in lost:
            segments = trained_segments(segments, self.classes, "classes")
        if "overlap" in lost:
            segments = _flat(segments)
        ids = segments.ids
        if "void" in lost:
            ids = np.maximum(ids, 0)
        if "nothing" in lost:
            ids = np.concatenate([np.where(ids[:1] == 0, -1, ids[:1]), ids[1:]])
        segments = segments.with_ids(ids).with_classes(self.table[segments.classes])
        if "order" in lost:
            segments = segments.select(np.argsort(segments.classes, kind="stable"))
        return segments.compact() if lost else segments


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


def _told(fault: Fault, count: int) -> str:
    where = f" in {count} image{'s' * (count > 1)}, {fault.key} first" if fault.key else ""
    return f"{fault.received} where {fault.expected} has a place{where}"


def _other(places: Sequence[str], mixed: bool) -> str:
    """The split for an image whose own has no place."""
    return "" if "" in places and not mixed else next(split for split in places if split)
