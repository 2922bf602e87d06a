"""The same image in two splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.data.doctor._finding import Check, left_out
from intarsia.data.doctor.duplicates import same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["shared_images"]

ORDER = ("test", "val", "train")
"""The split that keeps the image comes first."""


def _cases(survey: Survey) -> tuple[Sequence[Facts], dict[str, Any]]:
    some: list[Facts] = []
    others: list[Facts] = []
    for group in same(survey):
        splits = sorted({one.record.split for one in group}, key=lambda split: (*ORDER, split).index(split))
        kept = next(one for one in group if one.record.split == splits[0])
        again = [one for one in group if one.record.split in splits[1:]]
        some, others = some + again, others + [kept] * len(again)
    return some, {"others": others}


shared_images = Check(
    "error",
    _cases,
    "{count} image{s} of one split that {count:is|are} in another too, pixel by pixel: {first}",
    "Remove {count:it|them} from the training images: a score on images that were trained on means nothing",
    left_out,
    of_images=True,
)
