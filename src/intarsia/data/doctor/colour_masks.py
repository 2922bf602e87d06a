"""Masks of colours where ids are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import DataError
from intarsia.data.class_files import read_colours
from intarsia.data.doctor._facts import COLOURED
from intarsia.data.doctor._finding import Check, Part
from intarsia.data.doctor._ids import binary_ids, known_ids
from intarsia.data.label_files import ColourLabels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["colour_masks"]

Colour = tuple[int, int, int]
TABLE = "Write which colour is which class as 'Name R G B' per line of label_colors.txt, and open with --data-args by_colour=True"
READY = "Open with --data-args by_colour=True, for label_colors.txt has all their colours; or save the masks as ids"
GREY = "Save the masks with a single channel: each colour (N, N, N) is the id N"
BLACK_AND_WHITE = "Save the masks with a single channel, black as id {0} and white as id {1}"
SWAPPED = (
    ". So many colours are of smoothed borders, of JPEG or of photographs: export the masks without smoothing, or see whether the "
    "folders of images and masks are swapped"
)
ENDS = {(0, 0, 0), (255, 255, 255)}


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some = [] if survey.colours else [one for one in survey.pairs if one.label and one.label.mode in COLOURED]
    colours = {colour for one in some if one.label for colour in one.label.colours}
    few = f"{len(colours)} of them: " + ", ".join(map(str, sorted(colours)[:4])) + " ..." * (len(colours) > 4)
    uncounted = any(one.label and not one.label.colours for one in some)
    remedy = _remedy(colours, survey) + SWAPPED * uncounted
    return some, {"colours": "more than can be counted" if uncounted else few, "remedy": remedy}


def _remedy(colours: set[Colour], survey: Survey) -> str:
    grey = _grey(survey)
    if colours and colours <= _table(survey).keys():
        return READY
    if colours and survey.coding is None and all(red == green == blue for red, green, blue in colours):
        return GREY
    if not colours or not colours <= grey.keys():
        return TABLE
    return BLACK_AND_WHITE.format(*grey.values()) if grey.keys() == ENDS else GREY


def ids_of_colours(colours: NDArray[Any], survey: Survey, *, nearest: bool) -> NDArray[np.uint16]:
    """The ids (H, W) of colours (H, W, 3), all of them known, or of the `nearest` known ones."""
    found, place = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)  # (H, W, 3) -> (K, 3)
    table = _ids(survey)
    known = np.array(list(table), np.int64)
    if nearest:
        found = known[(np.square(found[:, None].astype(np.int64) - known).sum(axis=-1)).argmin(axis=1)]  # (K, T, 3) -> (K, 3)
    ids = np.array([table[red, green, blue] for red, green, blue in found.tolist()], np.uint16)
    return ids[place.reshape(-1)].reshape(colours.shape[:2])  # (H * W) -> (H, W)


def _ids(survey: Survey) -> dict[Colour, int]:
    """The id of each known colour: by the colour table, or, where that has not all, three times the id."""
    seen, table, grey = _seen(survey), _table(survey), _grey(survey)
    return grey if not seen <= table.keys() and seen <= grey.keys() else table


def _seen(survey: Survey) -> set[Colour]:
    """The colours of all masks but those of a lossy format, which invents some."""
    labels = [one.label for one in survey.facts if one.label and not one.label.lossy]
    return {colour for label in labels for colour in label.colours}


def _table(survey: Survey) -> dict[Colour, int]:
    """What the colour file says, where it names a class; other names are void."""
    coding = survey.labels.coding if isinstance(survey.labels, ColourLabels) else survey.coding
    try:
        known = survey.labels.colours if isinstance(survey.labels, ColourLabels) else read_colours(survey.path)
    except (DataError, OSError, ValueError):
        known = {}
    if coding is None:
        return {}
    ids = dict(zip(coding.classes.names, coding.ids, strict=True))
    void = coding.void[0] if coding.void else 255
    return {colour: ids.get(name, void) for name, colour in known.items()} if ids.keys() & known.keys() else {}


def _grey(survey: Survey) -> dict[Colour, int]:
    """The id that each grey is; black and white alone are the two ids of the class list, where 255 is none."""
    if survey.coding and 255 not in survey.coding.ids and (ids := binary_ids(survey.coding)) and _seen(survey) == ENDS:
        return dict(zip(sorted(ENDS), ids, strict=True))
    return {(value, value, value): value for value in (known_ids(survey.coding) if survey.coding else ()) if value < 256}


def _mend(part: Part, survey: Survey) -> None:
    """Nothing to change: the labels of a part are ids, those of colours too."""


def _hopeless(survey: Survey) -> str:
    strange = sorted(_seen(survey) - _ids(survey).keys())
    uncounted = any(
        one.label and one.label.mode in COLOURED and not one.label.lossy and not one.label.colours for one in survey.facts
    )
    if strange or uncounted or not _ids(survey):
        told = f" No class is known for {', '.join(map(str, strange[:4]))}." if strange else ""
        return f"Write which colour is which class as 'Name R G B' per line of label_colors.txt.{told}"
    return ""


colour_masks = Check(
    "error",
    _cases,
    "{count} mask{s} {count:holds|hold} colours where ids are expected ({colours}), first {first}",
    "{remedy}",
    _mend,
    _hopeless,
)
