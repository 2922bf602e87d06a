"""What the values of label files are against the ids that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.data.coding import Coding
    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = [
    "binary_255",
    "binary_ids",
    "invented",
    "known_ids",
    "listed",
    "made_classes",
    "nearest_ids",
    "nearest_pixels",
    "off_by_one",
    "ramps",
    "strangers",
]

INVENTED = 0.6
"""The share of a value's pixels that lie between two others along a line, from which on it was made by interpolation."""
RAMP = 0.3
"""The share of pixels at borders that lie between two others along a line and in value, from which on borders are ramps; in masks
that nobody has interpolated it is below 0.1, but for classes one pixel wide."""
ENDS = 0.8
"""The share of pixels that are 0 or 255 in masks of these two with blurred borders."""
STRAY = 1e-4
"""The share of all pixels up to which an id is a slip of the brush and tells nothing of how the ids are meant."""


def known_ids(coding: Coding) -> set[int]:
    """Every id that means something."""
    return {*coding.ids, *coding.void, *coding.nothing}


def strangers(one: Facts, survey: Survey) -> set[int]:
    """The values of a label file that mean nothing."""
    if survey.coding is None or one.label is None:
        return set()
    return set(one.label.counts) - known_ids(survey.coding)


def binary_255(survey: Survey) -> bool:
    """Whether all label files hold 0 and 255, and nothing else but what smoothing makes along borders, and 255 is no class."""
    counts = survey.counts
    if survey.coding is None or 255 in survey.coding.ids or not {0, 255} <= counts.keys():
        return False
    soft = counts.keys() - {0, 255}
    if not soft:
        return True
    between = sum(survey.between.get(value, 0) for value in soft)
    made, every = sum(counts[value] for value in soft), sum(counts.values())
    most = max(counts[value] for value in soft)  # of a class that is meant there would be more than of any value in passing
    return (
        bool(soft - known_ids(survey.coding)) and every - made > ENDS * every and between >= INVENTED * made and most < counts[255]
    )


def binary_ids(coding: Coding) -> tuple[int, ...]:
    """What black and white stand for: the ids of two classes, or nothing and that of one; empty where there are others."""
    ids = tuple(sorted((*coding.ids, *coding.nothing)))
    return ids if len(ids) == 2 else ()


def listed(coding: Coding) -> int:
    """How many ids a class list without gaps has from 0 on, void and nothing within it too; 0 for others."""
    known = known_ids(coding)
    count = next(value for value in range(65537) if value not in known)
    return count if max(coding.ids, default=count) < count else 0


def off_by_one(survey: Survey) -> bool:
    """Whether the ids are 1 to N where 0 to N - 1 are known, void beyond them and strays aside."""
    if survey.coding is None or not (count := listed(survey.coding)):
        return False
    least = STRAY * sum(survey.counts.values())
    values = {
        value for value, pixels in survey.counts.items() if pixels > least and (value <= count or value not in survey.coding.void)
    }
    return bool(values) and min(values) == 1 and max(values) == count


def invented(one: Facts, survey: Survey) -> set[int]:
    """The strange values of a label file that interpolation has made: most of their pixels lie between those of two others."""
    strange = strangers(one, survey)
    if one.label is None or not strange or binary_255(survey) or off_by_one(survey):
        return set()
    inner = sum(one.label.between.get(value, 0) for value in strange)
    total = sum(one.label.counts[value] for value in strange)
    return strange if inner >= INVENTED * total else set()


def made_classes(survey: Survey) -> set[int]:
    """The ids of classes whose pixels are hardly anywhere but at borders, and so may have come of interpolation themselves."""
    ids = set(survey.coding.ids if survey.coding else ()) & survey.counts.keys()
    return {value for value in ids if survey.between.get(value, 0) >= INVENTED * survey.counts[value]}


def ramps(survey: Survey) -> list[Facts]:
    """The label files with ramps at their borders, of ids that may have been made by interpolation."""
    if survey.coding is None or binary_255(survey):
        return []
    some = [one for one in survey.pairs if one.label and not one.label.lossy and not invented(one, survey)]
    return [one for one in some if one.label and one.label.edges and sum(one.label.between.values()) > RAMP * one.label.edges]


def nearest_ids(labels: NDArray[Any], coding: Coding) -> NDArray[np.uint16]:
    """Each value as the known id nearest to it in value."""
    ids = np.array(sorted(known_ids(coding)))
    nearest: NDArray[np.uint16] = ids.astype(np.uint16)[np.abs(labels[..., None].astype(np.int64) - ids).argmin(axis=-1)]
    return nearest  # (H, W, ids) -> (H, W)


def nearest_pixels(labels: NDArray[Any], coding: Coding) -> NDArray[np.uint16]:
    """Each strange pixel as the nearest pixel with a known id."""
    good = np.isin(labels, list(known_ids(coding)))
    if good.all() or not good.any():
        return labels.astype(np.uint16)
    _, place = cv2.distanceTransformWithLabels((~good).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    value_of = np.zeros(int(place.max()) + 1, np.uint16)
    value_of[place[good]] = labels[good]
    nearest: NDArray[np.uint16] = value_of[place]
    return nearest
