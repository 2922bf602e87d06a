"""Files that lie among images and labels and belong to none of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find
from intarsia.data.doctor._facts import Facts
from intarsia.data.doctor._finding import Check
from intarsia.data.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._survey import Survey
    from intarsia.data.format import Format

__all__ = ["unused_files"]


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    format: Format = find("data.formats", survey.format)
    files = [] if survey.refused else format.left_over(survey.path, [one.record for one in survey.facts])
    return [Facts(Record(file.name, file), None, None) for file in files], {"looks": format.looks}


unused_files = Check(
    "warning",
    _cases,
    "{count} file{s} {count:is|are} left out, for nothing tells what {count:it belongs|they belong} to: {first}",
    "Add the other half, name both alike as in {looks}, or remove {count:it|them}",
    of_images=True,
)
