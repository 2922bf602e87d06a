"""Segments: ground truth and prediction, for all three tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core._id_maps import line_runs, occurring
from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Segments", "narrow"]


def narrow(low: int, high: int) -> type[np.signedinteger[Any]]:
    """The narrowest of int8, int16, int32 that holds low..high.

    >>> narrow(-1, 127).__name__, narrow(-1, 128).__name__
    ('int8', 'int16')
    """
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise InvalidNoun("Segments ids", expected="values within int32", received=f"{low}..{high}")


class Segments:
    """The segments of one image: an integer map of rows and, for each row, its class, score and crowd flag.

    `ids` is (L, *S): k > 0 is row k-1 of the vectors, 0 nothing here, -1 void. A pixel is void iff ids[0] is -1 there; upper layers
    are never -1. A partition (semantic, panoptic) has L = 1, overlapping objects take more. S is (H, W) or (D, H, W).

    Boxes are (N, 2d) in pixel edges, (x0, y0, x1, y1) or (x0, y0, z0, x1, y1, z1), the far edge exclusive; areas are (N,) in
    pixels. Both are derived from the pixels unless the file or the network gave them.

    >>> two = Segments([[[1, 1, 0], [1, 2, -1]]], classes=[0, 4])
    >>> two.areas.tolist(), two.boxes.tolist()
    ([3.0, 1.0], [[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]])
    >>> two.semantic(5).tolist()
    [[0, 0, 5], [0, 4, -1]]
    """

    __slots__ = ("_areas", "_boxes", "classes", "confidence", "crowd", "ids", "scores")

    ids: NDArray[np.signedinteger[Any]]
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]
    crowd: NDArray[np.bool_]
    confidence: NDArray[np.float16] | None

    def __init__(
        self,
        ids: ArrayLike,
        classes: ArrayLike,
        *,
        scores: ArrayLike | None = None,
        crowd: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        areas: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
    ) -> None:
        ids_ = np.asarray(ids)
        if ids_.ndim not in (3, 4) or ids_.dtype.kind not in "iu" or not ids_.shape[0]:
            raise InvalidNoun(
                "Segments ids",
                expected="integers of shape (L, H, W) or (L, D, H, W), L > 0",
                received=f"{ids_.dtype} {ids_.shape}",
            )
        self.classes = np.asarray(classes, dtype=np.int64).reshape(-1)
        rows = len(self.classes)
        low, high = (int(ids_.min()), int(ids_.max())) if ids_.size else (0, 0)
        if low < -1 or high > rows:
            raise InvalidNoun("Segments ids", expected=f"-1..{rows} for {rows} classes", received=f"{low}..{high}")
        if len(ids_) > 1 and ids_[1:].size and ids_[1:].min() < 0:
            raise InvalidNoun("Segments ids", expected="void (-1) in layer 0 only", received="-1 in an upper layer")
        if rows and self.classes.min() < 0:
            raise InvalidNoun("Segments classes", expected="indices from 0", received=int(self.classes.min()))
        self.ids = ids_.astype(narrow(-1, rows), copy=False)
        dims = ids_.ndim - 1
        self.scores = _vector("scores", scores, np.ones(rows, np.float32))
        self.crowd = _vector("crowd", crowd, np.zeros(rows, np.bool_))
        self._boxes = None if boxes is None else _vector("boxes", boxes, np.empty((rows, 2 * dims), np.float32))
        self._areas = None if areas is None else _vector("areas", areas, np.empty(rows, np.float64))
        self.confidence = None if confidence is None else np.asarray(confidence, dtype=np.float16)
        if self.confidence is not None and self.confidence.shape != self.size:
            raise InvalidNoun("Segments confidence", expected=f"shape {self.size}", received=self.confidence.shape)

    # -- making ----------------------------------------------------------------------------------------------------------------

    @classmethod
    def from_semantic(cls, labels: NDArray[Any], num_classes: int) -> Segments:
        """One row per class present in (*S) labels: class index, -1 void, `num_classes` nothing; the inverse of `semantic`.

        Raises InvalidNoun for any other value.
        """
        low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if low < -1 or high > num_classes:
            raise InvalidNoun(
                "labels", expected=f"-1 (void), 0..{num_classes - 1} or {num_classes} (nothing)", received=f"{low}..{high}"
            )
        present = np.flatnonzero(occurring(labels, num_classes + 2)[:num_classes])
        table = np.zeros(num_classes + 2, narrow(-1, len(present)))
        table[present] = np.arange(1, len(present) + 1)
        table[-1] = -1
        return cls(table.take(labels)[None], present)

    @classmethod
    def empty(cls, size: tuple[int, ...]) -> Segments:
        """No segment anywhere, no void."""
        return cls(np.zeros((1, *size), np.int8), np.zeros(0, np.int64))

    # -- views -----------------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def size(self) -> tuple[int, ...]:
        """S: (H, W) or (D, H, W)."""
        return self.ids.shape[1:]

    @property
    def void(self) -> NDArray[np.bool_]:
        """(*S) where nothing is trained or scored."""
        return self.ids[0] < 0  # type: ignore[no-any-return]

    def semantic(self, num_classes: int) -> NDArray[np.signedinteger[Any]]:
        """(*S) class index, -1 void, `num_classes` nothing. Where layers overlap the highest score wins, then the later row.

        Raises InvalidNoun where a row's class is not below `num_classes`.
        """
        self.check_classes(num_classes)
        dtype = narrow(-1, num_classes)
        table = np.concatenate([[num_classes], self.classes, [-1]]).astype(dtype)  # index -1 is the last entry
        if len(self.ids) == 1:
            return np.asarray(table.take(self.ids[0]))
        order = np.lexsort((np.arange(len(self)), self.scores))  # ascending: the winner comes last
        rank = np.zeros(len(self) + 1, np.int32)  # rank 0: nothing
        rank[order + 1] = np.arange(1, len(self) + 1)
        top = rank.take(np.maximum(self.ids[0], 0))
        for layer in self.ids[1:]:
            np.maximum(top, rank.take(layer), out=top)
        winner = np.concatenate([[num_classes], self.classes[order]]).astype(dtype).take(top)
        winner[self.void] = -1
        return np.asarray(winner)

    def check_classes(self, num_classes: int, name: str = "Segments") -> None:
        """Raises InvalidNoun, of `name`, where a row's class is not below `num_classes`, which itself would read as nothing."""
        highest = int(self.classes.max(initial=-1))
        if highest >= num_classes:
            raise InvalidNoun(f"{name} classes", expected=f"indices 0..{num_classes - 1}", received=highest)

    def mask(self, row: int) -> NDArray[np.bool_]:
        """(*S) the pixels of one row."""
        return (self.ids == row + 1).any(axis=0)  # type: ignore[no-any-return]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, *S) the pixels of each row; memory N * S, so for few or small segments."""
        stack = np.zeros((len(self) + 1, *self.size), np.bool_)
        for layer in self.ids:
            np.put_along_axis(stack, np.maximum(layer, 0)[None].astype(np.int64), True, axis=0)
        return stack[1:]

    @property
    def areas(self) -> NDArray[np.float64]:
        """(N,) as given by file or network, else pixels counted."""
        if self._areas is not None:
            return self._areas
        total = np.zeros(len(self) + 1)
        for layer in self.ids:
            rows, first, last = line_runs(layer)
            total += np.bincount(rows, last[-1] - first[-1] + 1, len(self) + 1)
        return total[1:]

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 2d) as given by file or network, else the tight boxes of the pixels; zeros for a row without pixels."""
        if self._boxes is not None:
            return self._boxes
        dims = len(self.size)
        low = np.full((dims, len(self) + 1), np.iinfo(np.intp).max)
        high = np.zeros((dims, len(self) + 1), np.intp)
        for layer in self.ids:
            rows, first, last = line_runs(layer)
            for axis in range(dims):
                np.minimum.at(low[axis], rows, first[axis])
                np.maximum.at(high[axis], rows, last[axis] + 1)
        low[:, high[-1] == 0] = 0
        return np.concatenate([low[::-1, 1:], high[::-1, 1:]]).T.astype(np.float32)  # (2d, N) -> (N, 2d)

    # -- edits -----------------------------------------------------------------------------------------------------------------

    def select(self, keep: ArrayLike) -> Segments:
        """The rows that `keep` (N bools, or row indices in the wanted order) names; the pixels of the others become nothing.

        Given boxes and areas stay with their rows: no kept row loses a pixel.
        """
        rows = np.asarray(keep)
        if rows.dtype == np.bool_ and rows.shape != (len(self),):
            raise InvalidNoun("select", expected=f"{len(self)} bools, one for each row", received=rows.shape)
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64).reshape(-1)
        if len(np.unique(rows)) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < len(self)):
            raise InvalidNoun("select", expected=f"distinct rows of 0..{len(self) - 1}", received=rows.tolist())
        table = np.zeros(len(self) + 2, narrow(-1, len(rows)))
        table[rows + 1] = np.arange(1, len(rows) + 1)
        table[-1] = -1
        return self._with(
            ids=table.take(self.ids),
            classes=self.classes[rows],
            scores=self.scores[rows],
            crowd=self.crowd[rows],
            boxes=None if self._boxes is None else self._boxes[rows],
            areas=None if self._areas is None else self._areas[rows],
        )

    def compact(self) -> Segments:
        """Without the rows that have no pixel and the upper layers that have no row; itself where there is neither."""
        seen = occurring(self.ids, len(self) + 2)[1:-1]
        if seen.all() and len(self.ids) == 1:
            return self
        kept = self.select(seen)
        used = [0, *(layer for layer in range(1, len(self.ids)) if kept.ids[layer].any())]
        return kept.with_ids(kept.ids[used], same_pixels=True)

    def with_ids(self, ids: NDArray[Any], *, same_pixels: bool = False, confidence: NDArray[Any] | None = None) -> Segments:
        """The same rows on other pixels; given boxes and areas are dropped unless each row's pixels are unchanged."""
        return self._with(ids=ids) if same_pixels else self._with(ids=ids, boxes=None, areas=None, confidence=confidence)

    def with_classes(self, classes: ArrayLike) -> Segments:
        """The same pixels under other class indices (N,), such as `ClassSet.table_to` gives."""
        return self._with(classes=classes)

    def with_confidence(self, confidence: NDArray[Any], scores: ArrayLike | None = None) -> Segments:
        """The same segments, (*S) how sure each pixel's answer is, and (N,) `scores` where those follow from it."""
        return self._with(confidence=confidence) if scores is None else self._with(confidence=confidence, scores=scores)

    def _with(self, **changes: Any) -> Segments:
        """The same but for some arguments."""
        given = {"boxes": self._boxes, "areas": self._areas, "confidence": self.confidence}
        kept = {"ids": self.ids, "classes": self.classes, "scores": self.scores, "crowd": self.crowd}
        return Segments(**kept | given | changes)

    # -- comparing and showing -------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        """Same size, void, rows in the same order, and the same pixels for each row, however they are layered."""
        if not isinstance(other, Segments):
            return NotImplemented
        return (
            self.size == other.size
            and np.array_equal(self.classes, other.classes)
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.crowd, other.crowd)
            and np.array_equal(self.void, other.void)
            and (
                np.array_equal(self.ids, other.ids)
                or all(np.array_equal(self.mask(row), other.mask(row)) for row in range(len(self)))
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        size, layers = "x".join(map(str, self.size)), len(self.ids)
        return f"Segments({len(self)} rows, {size}, {layers} layer{'s' if layers > 1 else ''})"


def _vector(name: str, given: ArrayLike | None, default: NDArray[Any]) -> NDArray[Any]:
    """`given` in the dtype and shape of `default`, else InvalidNoun; `default` where nothing is given."""
    if given is None:
        return default
    value = np.asarray(given, dtype=default.dtype)
    if value.size == 0 and default.size == 0:
        return default
    if value.shape != default.shape:
        raise InvalidNoun(f"Segments {name}", expected=f"shape {default.shape}", received=value.shape)
    return value
