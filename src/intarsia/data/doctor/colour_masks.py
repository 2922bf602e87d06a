"""Masks of colours where ids are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.class_files import read_colours
from intarsia.data.doctor._finding import Check, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["colour_masks"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [] if survey.colours else [one for one in survey.pairs if one.label and one.label.mode in ("RGB", "RGBA", "LA", "CMYK")]
    colours = {colour for one in some if one.label for colour in one.label.colours}
    return some, {"colours": len(colours), "few": ", ".join(map(str, sorted(colours)[:4]))}


def colour_ids(survey: Survey) -> dict[tuple[int, int, int], int]:
    """The id of each colour: that of the class of this colour where the classes have it, else by pixels, the most first."""
    total: dict[tuple[int, int, int], int] = {}
    for one in survey.facts:
        for colour, count in (one.label.colours if one.label else {}).items():
            total[colour] = total.get(colour, 0) + count
    known = read_colours(survey.path)
    ids = survey.coding.ids if survey.coding else ()
    names = survey.coding.classes.names if survey.coding else ()
    told = {known[name]: value for name, value in zip(names, ids, strict=True) if name in known}
    if told:
        return {colour: told.get(colour, 255) for colour in total}
    return {colour: place for place, colour in enumerate(sorted(total, key=lambda colour: -total[colour]))}


def _mend(part: Part, survey: Survey) -> None:
    """Each colour becomes an id."""
    if part.labels is None or part.labels.ndim != 3:
        return
    packed = part.labels[..., :3].astype(np.int64) @ np.array([65536, 256, 1])  # (H, W, 3) -> (H, W)
    ids = np.full(packed.shape, 255, np.int64)
    for (red, green, blue), value in colour_ids(survey).items():
        ids[packed == (red << 16 | green << 8 | blue)] = value
    part.labels = ids.astype(np.uint16)


colour_masks = Check(
    "error",
    _cases,
    "{count} mask{s} hold colours, {colours} of them, where ids are expected: {first} ({few})",
    "Write which colour is which class as 'Name R G B' per line of label_colors.txt, and open with --data-args by_colour=True",
    _mend,
)
