"""Masks of 0 and 255 beside others with further ids, so that 255 is an object in some, perhaps, and void in others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DataError, few
from intarsia.data.class_files import find_class_file, read_classes
from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._ids import binary_255, known_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["mixed_masks"]

FORMATS = ("mask_folder", "camvid", "image_folder")
"""Those in which 255 is void by nothing but custom, unless a class file says so."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    if survey.coding is None or 255 in survey.coding.ids or _told(survey) or binary_255(survey):
        return [], {}
    further = sorted(known_ids(survey.coding) & survey.counts.keys() - {0, 255})
    some = [one for one in survey.pairs if one.label and not one.label.lossy and one.label.counts.keys() == {0, 255}]
    return some if further else [], {"further": few([str(value) for value in further], 8)}


def _told(survey: Survey) -> bool:
    """Whether the class file, the caller or the format says that 255 is void."""
    if survey.void == 255 or survey.format not in FORMATS:
        return True
    file = find_class_file(survey.path)
    try:
        return file is not None and 255 in read_classes(file).void
    except DataError:  # others were named in its place
        return False


mixed_masks = Check(
    "warning",
    _cases,
    "{count} mask{s} of 0 and 255 alone, while others hold {further}: 255 is taken for void, and class 0 alone is learnt of "
    "{count:it|them}: {first}",
    "Where 255 is an object, write the id of its class instead; where it is void, say so: --data-args void=255",
)
