"""Objects that are annotated twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check
from intarsia.data.doctor._objects import some_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["repeated_objects"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    return some_objects(survey, lambda told: told.repeated)


repeated_objects = Check(  # not mended: the formats of a mask file for each image hold no pixel twice
    "warning",
    _cases,
    "{objects} {objects:object covers|objects cover} the pixels of an earlier one of the same class, in {count} image{s}: {name} "
    "in {first}",
    "Remove {objects:it|them}: of two answers where there is one, or one where there are two, a score counts one wrong",
    of_images=True,
)
