"""Images of two splits that are almost the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["similar_images"]

BANDS, BITS = 4, 16
"""The 64 bits of a hash in four parts: of two that differ in three bits one part at least is equal."""
MOST_BITS = 3
MOST_GREY = 3.0
"""The mean difference of two thumbnails, of 255, up to which two images count as one picture."""
LEAST_GREY = 6
"""The range of a thumbnail's grey, of 255, from which on it shows something: all that show less are alike, and tell nothing."""
AT_ONCE = 64
"""Thumbnails that are compared by grey at a time."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    splits = sorted({one.record.split for one in survey.facts})
    pairs = [pair for one in splits for other in splits if one != other for pair in similar(survey, one, other)]
    kept = ("test", "val")
    found = {a.record.key: b for a, b in pairs if not (a.record.split in kept and b.record.split not in kept)}
    return alike(survey, found)


def alike(survey: Survey, found: dict[str, Facts]) -> tuple[Sequence[Facts], dict[str, Any]]:
    """The cases by key, each with the one that it is like."""
    some = [one for one in survey.facts if one.record.key in found]
    others = [found[one.record.key] for one in some]
    return some, {"others": others}


def similar(survey: Survey, split: str, other: str) -> list[tuple[Facts, Facts]]:
    """Each image of a split with one of the other (which may be the same) that shows almost the same, but is not the same."""
    some = [
        one for one in survey.facts if one.record.split in (split, other) and one.image and np.ptp(one.image.thumb) >= LEAST_GREY
    ]
    thumbs = np.array([one.image.thumb for one in some if one.image])  # (N, 16, 16)
    digests = [one.image.digest for one in some if one.image]
    own = [number for number, one in enumerate(some) if one.record.split == split]
    others = [number for number, one in enumerate(some) if one.record.split == other]
    return [(some[a], some[b]) for a, b in near(thumbs, digests, own, others)] if own and others else []


def near(
    thumbs: NDArray[np.uint8],
    digests: Sequence[bytes] = (),
    own: Sequence[int] | None = None,
    others: Sequence[int] | None = None,
) -> list[tuple[int, int]]:
    """Of thumbnails (N, 16, 16) the numbers `own` that have one among `others` that shows almost the same, with one such, by
    the bits of their gradients (dHash) and then by grey; equal `digests` do not count.

    >>> near(np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 2))
    [(0, 1), (1, 0)]
    """
    count = len(thumbs)
    digests = digests or [number.to_bytes(8, "big") for number in range(count)]
    small = thumbs.reshape(count, 8, 2, 8, 2).astype(np.int64).mean(axis=(2, 4))  # (N, 16, 16) -> (N, 8, 8)
    bits = (np.diff(small, axis=2, append=small[:, :, :1]) > 0).reshape(count, 64)  # (N, 8, 8) -> (N, 64)
    packed = np.packbits(bits, axis=1)  # (N, 64) -> (N, 8)
    groups: dict[tuple[int, bytes], list[int]] = {}
    known: dict[bytes, set[bytes]] = {}
    for number in range(count) if others is None else others:
        seen = known.setdefault(thumbs[number].tobytes(), set())
        if len(seen) < 2 and digests[number] not in seen:  # of equal thumbnails two do: one at least is another image than any
            seen.add(digests[number])
            for band, part in _bands(packed[number]):
                groups.setdefault((band, part), []).append(number)
    arrays = {name: np.array(group) for name, group in groups.items()}
    pairs = []
    for number in range(count) if own is None else own:
        found = _partner(number, [arrays[name] for name in _bands(packed[number]) if name in arrays], bits, thumbs, digests)
        if found is not None:
            pairs.append((number, found))
    return pairs


def _bands(packed: NDArray[np.uint8]) -> list[tuple[int, bytes]]:
    size = BITS // 8
    return [(band, packed[band * size : (band + 1) * size].tobytes()) for band in range(BANDS)]


def _partner(
    number: int, groups: Sequence[NDArray[np.int64]], bits: NDArray[np.bool_], thumbs: NDArray[np.uint8], digests: Sequence[bytes]
) -> int | None:
    """One of the `groups` that shows almost the same and is another image."""
    first = [group[:AT_ONCE] for group in groups]  # where many look alike, a few tell
    for others in (*first, *(group[AT_ONCE:] for group in groups)):
        close = others[np.count_nonzero(bits[others] != bits[number], axis=1) <= MOST_BITS]
        for start in range(0, len(close), AT_ONCE):
            some = close[start : start + AT_ONCE]
            grey = np.abs(thumbs[some].astype(np.int16) - thumbs[number]).mean(axis=(1, 2))  # (M, 16, 16) -> (M)
            found = [other for other in some[grey <= MOST_GREY].tolist() if digests[other] != digests[number]]
            if found:
                return int(found[0])
    return None


similar_images = Check(
    "warning",
    _cases,
    "{count} image{s} that {count:looks|look} almost as one in another split: {first}",
    "Split by scene, patient or day, or by what looks alike: intarsia split DATA --group-by EXPRESSION, or similar",
    of_images=True,
)
