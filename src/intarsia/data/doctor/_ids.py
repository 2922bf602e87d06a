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

__all__ = ["binary_255", "invented", "known_ids", "nearest_ids", "nearest_pixels", "off_by_one", "strangers"]

INVENTED = 0.6
"""The share of a value's pixels that lie between two others along a line, from which on it was made by interpolation."""


def known_ids(coding: Coding) -> set[int]:
    """Every id that means something."""
    return {*coding.ids, *coding.void, *coding.nothing}


def strangers(one: Facts, survey: Survey) -> set[int]:
    """The values of a label file that mean nothing."""
    if survey.coding is None or one.label is None:
        return set()
    return set(one.label.counts) - known_ids(survey.coding)


def binary_255(survey: Survey) -> bool:
    """Whether all label files hold 0 and 255 alone, and 255 is no class."""
    values = set(survey.counts)
    return survey.coding is not None and values == {0, 255} and 255 not in survey.coding.ids


def off_by_one(survey: Survey) -> bool:
    """Whether the ids are 1 to C where 0 to C - 1 are known, void aside."""
    if survey.coding is None:
        return False
    ids = survey.coding.ids
    values = set(survey.counts) - set(survey.coding.void)
    return ids == tuple(range(len(ids))) and bool(values) and min(values) == 1 and max(values) == len(ids)


def invented(one: Facts, survey: Survey) -> set[int]:
    """The strange values of a label file that interpolation has made: most of their pixels lie between those of two others."""
    if one.label is None or binary_255(survey) or off_by_one(survey):
        return set()
    strange = strangers(one, survey)
    inner = sum(one.label.between.get(value, 0) for value in strange)
    total = sum(one.label.counts[value] for value in strange)
    return strange if strange and inner >= INVENTED * total else set()


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
