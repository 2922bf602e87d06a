"""Coding: which id in the label files means which class, void or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import LabelError, few
from intarsia.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["VOID_NAMES", "Coding"]

VOID_NAMES = ("void", "unlabelled", "unlabeled", "ignore")
"""What files call void, whatever the case."""
UNKNOWN = -2


@dataclass(frozen=True)
class Coding:
    """The ids of label files against a ClassSet; picklable, its look-up table made once.

    >>> coding = Coding.from_names(["sky", "road", "Void"])
    >>> coding.classes.names, coding.void
    (('sky', 'road'), (2,))
    >>> coding.segments(np.array([[0, 1], [1, 2]], np.uint8)).semantic(2).tolist()
    [[0, 1], [1, -1]]
    """

    classes: ClassSet
    ids: tuple[int, ...]
    """The id in the files of each class, by class index."""
    void: tuple[int, ...] = ()
    """The ids that mean void."""
    nothing: tuple[int, ...] = ()
    """The ids that mean nothing-here."""

    def __post_init__(self) -> None:
        every = [*self.ids, *self.void, *self.nothing]
        if len(self.ids) != len(self.classes) or len(set(every)) != len(every) or any(not 0 <= value < 65536 for value in every):
            raise LabelError(
                "label ids",
                expected=f"{len(self.classes)} distinct ids 0..65535, and others for void and nothing",
                received=f"classes {self.ids}, void {self.void}, nothing {self.nothing}",
            )

    @classmethod
    def from_names(
        cls,
        names: Sequence[str],
        colours: Sequence[tuple[int, int, int]] = (),
        *,
        ids: Sequence[int] | None = None,
        void: Sequence[str] = (),
        **options: Any,
    ) -> Coding:
        """`ids` of the names, or their places; names that mean void (`VOID_NAMES`, or given) are void. `options` go to ClassSet."""
        ids = range(len(names)) if ids is None else ids
        called = {*VOID_NAMES, *(name.lower() for name in void)}
        kept = [place for place, name in enumerate(names) if name.lower() not in called]
        gone = [place for place, name in enumerate(names) if name.lower() in called]
        classes = ClassSet(
            tuple(names[place] for place in kept),
            tuple(colours[place] for place in kept if colours),
            void=tuple(names[place] for place in gone) or tuple(void) or ("void",),
            **options,
        )
        return cls(classes, tuple(ids[place] for place in kept), tuple(ids[place] for place in gone))

    @classmethod
    def from_classes(cls, classes: ClassSet) -> Coding:
        """Ids that are the class indices; 255 is void and 254 nothing, or 65535 and 65534 where there are more classes."""
        top = 255 if len(classes) <= 254 else 65535
        return cls(classes, tuple(range(len(classes))), (top,), (top - 1,))

    def with_void(self, void: int | None) -> Coding:
        """With `void` as a void id too; None takes 255 where nothing is void yet and 255 is free."""
        if void is None:
            void = 255 if not self.void and 255 not in (*self.ids, *self.nothing) else None
        return self if void is None or void in self.void else replace(self, void=(*self.void, void))

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """(65537,) class index by id, -1 void, C nothing, -2 unknown."""
        table = np.full(65537, UNKNOWN, np.int32)
        table[list(self.ids)] = np.arange(len(self.ids))
        table[list(self.void)] = -1
        table[list(self.nothing)] = len(self.ids)
        return table

    def segments(self, labels: NDArray[Any], source: str = "labels") -> Segments:
        """One row per class that is present in ids (*S); LabelError naming `source` and the ids that stand for nothing known."""
        ids = labels if labels.dtype in (np.uint8, np.uint16) else np.where((labels < 0) | (labels > 65535), 65536, labels)
        found = self.table[ids]  # (*S) ids -> class indices
        if found.size and found.min() == UNKNOWN:
            strangers = np.unique(labels[found == UNKNOWN]).tolist()
            raise LabelError(
                source,
                expected=f"ids of the {len(self.classes)} classes ({_spans(self.ids)})"
                + (f", void ({_spans(self.void)})" if self.void else "")
                + (f", nothing ({_spans(self.nothing)})" if self.nothing else ""),
                received=_spans(strangers),
                hint="Add the missing classes to the class file, or name an id that is to be ignored: void=ID.",
            )
        return Segments.from_semantic(found, len(self.classes))

    def labels(self, segments: Segments) -> NDArray[np.uint16]:
        """(*S) the ids of semantic segments, the inverse of `segments`."""
        codes = [*self.ids, self.nothing[0] if self.nothing else 0, self.void[0] if self.void else 0]
        ids: NDArray[np.uint16] = np.array(codes, np.uint16)[segments.semantic(len(self.classes))]  # -1, void, is the last entry
        return ids


def _spans(values: Sequence[int]) -> str:
    """Numbers as short text: 0..10, 12."""
    parts: list[list[int]] = []
    for value in sorted(values):
        if parts and value == parts[-1][1] + 1:
            parts[-1][1] = value
        else:
            parts.append([value, value])
    text = [str(low) if low == high else f"{low}..{high}" for low, high in parts]
    return few(text, 8)
