"""Objects of images of any size, window by window: what two windows show of one object becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from intarsia.decode._windows import Tiling, spans, window
from intarsia.ops.boxes import shared_extents
from intarsia.ops.packing import pack_crops, window_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.protocols import Image, Predictor
    from intarsia.core.segments import Segments
    from intarsia.decode._windows import Span
    from intarsia.ops.packing import Crop

    Place = tuple[int, int, int, int]
    """(top, left, bottom, right) in pixels of the whole image."""

__all__ = ["stitched"]

SAME = 0.5
"""The intersection over union, in what both windows show, from which on two pieces are of one object."""


def stitched(predictor: Predictor, classes: ClassSet, tiling: Tiling | None = None, *, same: float = SAME) -> Predictor:
    """Image (H, W, C) of any size -> its segments, from those that `predictor` gives for windows of it.

    Each pixel is answered by the window in whose middle it lies. Things of one class that two windows show are one object where
    their intersection over union is above `same` in what both windows see; it scores as its best piece. Stuff is one row for each
    class, whose score is the mean over its pixels. Windows have to overlap for objects across a seam to be known.

    >>> from intarsia.core import ClassSet, Segments
    >>> bright = lambda image: Segments((image[..., 0] > 0)[None].astype(np.int8), [0])  # all that is bright is one object
    >>> image = np.zeros((64, 200, 1), np.uint8)
    >>> image[10:20, 30:190] = 1
    >>> found = stitched(bright, ClassSet(("rod",), things=("rod",)), Tiling((64, 64), 0.5))(image)
    >>> len(found), found.boxes.tolist()
    (1, [[30.0, 10.0, 190.0, 20.0]])
    """
    return partial(_predict, predictor, classes, (tiling or Tiling()).checked(), same)


@dataclass(frozen=True, eq=False)
class _Piece:
    """What one window shows of one segment."""

    label: int
    score: float
    place: Place
    mask: NDArray[np.bool_]
    """(h, w) of `place`."""
    seen: Place
    """The window."""
    own: Place
    """The part of the image that this window answers."""

    def within(self, place: Place) -> NDArray[np.bool_]:
        """The mask at a part of its place."""
        top, left = self.place[:2]
        return self.mask[place[0] - top : place[2] - top, place[1] - left : place[3] - left]


def _predict(predictor: Predictor, classes: ClassSet, tiling: Tiling, same: float, image: Image) -> Segments:
    """One image; at module level, so that a Predictor can be sent to another process."""
    pieces: list[_Piece] = []
    first: list[int] = []  # of each piece one before it of the same segment, or itself
    stuff: dict[int, int] = {}
    windows: list[range] = []  # the pieces of each window that later ones may meet
    rows, columns = spans(image.shape[:-1], tiling)
    for down in rows:
        windows = [places for places in windows if places and pieces[places[0]].seen[2] > down.start]
        for across in columns:
            found = _pieces(predictor(window(image, down, across)), down, across)
            here = range(len(pieces), len(pieces) + len(found))
            pieces += found
            things = [place for place in here if classes.is_thing[pieces[place].label]]
            first += [place if classes.is_thing[label := pieces[place].label] else stuff.setdefault(label, place) for place in here]
            for earlier in windows:
                for one, other in _matched(pieces, earlier, things, same):
                    first[_root(first, other)] = _root(first, one)
            windows.append(here)
    members: dict[int, list[_Piece]] = {}
    for place, piece in enumerate(pieces):
        members.setdefault(_root(first, place), []).append(piece)
    return _together(list(members.values()), classes, image.shape[:-1])


def _matched(pieces: list[_Piece], before: Sequence[int], now: Sequence[int], same: float) -> Iterator[tuple[int, int]]:
    """Pairs of pieces of two windows that are of one object, the most alike first; each is in one pair at most."""
    if not len(before) or not len(now):
        return
    boxes = (np.array([pieces[place].place for place in places], np.float64) for places in (before, now))
    near = np.argwhere(shared_extents(*boxes) > 0).tolist()
    pairs = [(_overlap(pieces[before[one]], pieces[now[other]]), before[one], now[other]) for one, other in near]
    taken: set[int] = set()
    for overlap, one, other in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if overlap > same and pieces[one].label == pieces[other].label and not {one, other} & taken:
            taken |= {one, other}
            yield one, other


def _root(first: list[int], here: int) -> int:
    while first[here] != here:
        here = first[here]
    return here


def _pieces(segments: Segments, down: Span, across: Span) -> list[_Piece]:
    """The segments of a window that have pixels, where they lie in the image; what lies beyond the image is cut off."""
    size = down.inside - down.start, across.inside - across.start
    seen = (down.start, across.start, down.inside, across.inside)
    own = (down.first, across.first, down.last, across.last)
    pieces = []
    for row in range(len(segments)):
        mask = segments.mask(row)[: size[0], : size[1]]
        rows, columns = window_of(mask)
        place = (down.start + rows.start, across.start + columns.start, down.start + rows.stop, across.start + columns.stop)
        if rows.stop > rows.start:
            label, score = int(segments.classes[row]), float(segments.scores[row])
            pieces.append(_Piece(label, score, place, mask[rows, columns].copy(), seen, own))
    return pieces


def _common(one: Place, other: Place) -> Place | None:
    """Where two rectangles meet, if they do."""
    place = (max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))
    return place if place[0] < place[2] and place[1] < place[3] else None


def _overlap(one: _Piece, other: _Piece) -> float:
    """The intersection over union of two pieces, in what both windows show."""
    place, shown = _common(one.place, other.place), _common(one.seen, other.seen)
    if place is None or shown is None:
        return 0.0
    both = int(np.count_nonzero(one.within(place) & other.within(place)))
    parts = [(each, part) for each in (one, other) if (part := _common(each.place, shown))]
    return both / max(sum(int(np.count_nonzero(each.within(part))) for each, part in parts) - both, 1)


def _together(segments: list[list[_Piece]], classes: ClassSet, size: tuple[int, ...]) -> Segments:
    """Each segment of its pieces, where these are answered by their windows; one without a pixel there is left out."""
    crops: list[Crop] = []
    kept: list[tuple[int, float]] = []
    for pieces in segments:
        parts = [(piece, part) for piece in pieces if (part := _common(piece.place, piece.own))]
        if not parts:
            continue
        top, left = (min(part[axis] for _, part in parts) for axis in (0, 1))
        bottom, right = (max(part[axis] for _, part in parts) for axis in (2, 3))
        mask = np.zeros((bottom - top, right - left), np.bool_)
        areas = []
        for piece, part in parts:
            here = piece.within(part)
            mask[part[0] - top : part[2] - top, part[1] - left : part[3] - left] |= here
            areas.append(np.count_nonzero(here))
        if mask.any():
            scores = [piece.score for piece, _ in parts]
            thing = classes.is_thing[pieces[0].label]
            kept.append((pieces[0].label, max(scores) if thing else float(np.average(scores, weights=areas))))
            crops.append(((slice(top, bottom), slice(left, right)), mask))
    return pack_crops(crops, size, [label for label, _ in kept], scores=[score for _, score in kept])
