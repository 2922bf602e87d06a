"""A folder that cannot be opened, for a reason that no other check knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.class_files import find_class_file
from intarsia.data.doctor._facts import Facts
from intarsia.data.doctor._finding import Check
from intarsia.data.doctor.colour_masks import colour_masks
from intarsia.data.doctor.lossy_masks import lossy_masks
from intarsia.data.doctor.missing_images import missing_images
from intarsia.data.doctor.missing_masks import missing_masks
from intarsia.data.doctor.no_truth import no_truth
from intarsia.data.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._survey import Survey

__all__ = ["not_opened"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    others = [missing_masks, missing_images, no_truth, lossy_masks]
    others += [] if find_class_file(survey.path) else [colour_masks]  # colours are why there is none
    known = any(other.cases(survey)[0] for other in others)
    return (survey.facts[:1] or (NOTHING,)) if survey.refused and not known else (), {"what": survey.refused}


NOTHING = Facts(Record(""), None, None)

not_opened = Check("error", _cases, "the data set cannot be opened: {what}", "As the message says")
