"""Images of two splits that are almost the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.doctor._finding import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["similar_images"]

BANDS, BITS = 4, 16
"""The 64 bits of a hash in four parts: of two that differ in three bits one part at least is equal."""
MOST_BITS = 3
MOST_GREY = 3.0
"""The mean difference of two thumbnails, of 255, up to which two images count as one picture."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [one for one in survey.facts if one.image and one.image.digest]
    if len({one.record.split for one in some}) < 2:
        return [], {}
    thumbs = np.stack([one.image.thumb for one in some if one.image])  # (N, 16, 16)
    found = {
        b if some[a].record.split in ("test", "val") else a
        for a, b in near(thumbs)
        if some[a].record.split != some[b].record.split and some[a].image.digest != some[b].image.digest  # type: ignore[union-attr]
    }
    return [some[number] for number in sorted(found)], {}


def near(thumbs: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The pairs of thumbnails (N, 16, 16) that show almost the same, by the bits of their gradients (dHash) and then by grey.

    >>> near(np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 2))
    [(0, 1)]
    """
    small = thumbs.reshape(len(thumbs), 8, 2, 8, 2).astype(np.int64).mean(axis=(2, 4))  # (N, 16, 16) -> (N, 8, 8)
    bits = (np.diff(small, axis=2, append=small[:, :, :1]) > 0).reshape(len(thumbs), 64)  # (N, 8, 8) -> (N, 64)
    pairs = set()
    for band in range(BANDS):
        groups: dict[bytes, list[int]] = {}
        for number, part in enumerate(np.packbits(bits[:, band * BITS : (band + 1) * BITS], axis=1)):
            groups.setdefault(part.tobytes(), []).append(number)
        for group in groups.values():
            pairs |= set(_close(group, bits, thumbs))
    return sorted(pairs)


def _close(group: list[int], bits: NDArray[np.bool_], thumbs: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    for place, number in enumerate(group[:-1]):
        others = np.array(group[place + 1 :])
        others = others[np.count_nonzero(bits[others] != bits[number], axis=1) <= MOST_BITS]
        grey = np.abs(thumbs[others].astype(np.int16) - thumbs[number]).mean(axis=(1, 2))  # (M, 16, 16) -> (M)
        yield from ((number, other) for other in others[grey <= MOST_GREY].tolist())


similar_images = Check(
    "warning",
    _cases,
    "{count} image{s} that look almost as one in another split: {first}",
    "Split by scene, patient or day: intarsia split DATA --group-by EXPRESSION",
)
