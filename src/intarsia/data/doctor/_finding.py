"""Check and Finding: how one thing is looked for, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._survey import Survey

__all__ = ["Check", "Finding", "Part", "left_out"]

Severity = Literal["error", "warning", "note"]
"""An error would spoil a training, a warning may, a note is good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with all the images that have it."""

    check: str
    severity: Severity
    message: str
    """What is wrong, with numbers."""
    remedy: str
    """What to do, exactly."""
    keys: tuple[str, ...]
    files: tuple[str, ...]
    """Of each key the file to look at."""
    others: tuple[str, ...] = ()
    """Of each key the file that it is like, where that is what was found."""


@dataclass
class Part:
    """One pair on its way into a mended copy."""

    facts: Facts
    image: NDArray[Any]
    """(H, W, C) as it is read."""
    labels: NDArray[Any] | None
    """Ids (H, W) or (D, H, W), those of colours too."""
    kept: bool = True


class Number(int):
    """A number in a text, after which words may follow it: `{count:looks|look}` for one and for any other.

    >>> "{n} {n:image|images} that {n:looks|look} alike".format(n=Number(1))
    '1 image that looks alike'
    """

    def __format__(self, words: str) -> str:
        """The number itself, or of two words the one that goes with it."""
        one, _, many = words.partition("|")
        return str(int(self)) if not words else one if self == 1 else many


@dataclass(frozen=True)
class Check:
    """What each file in data/doctor holds: one thing that can be wrong.

    `cases` gives the pairs that have it, none where all is well, and numbers for the texts, in which {count}, {s} and {first} are
    known, and words go with a number as `Number` says; "others" among these are the pairs that those of `cases` are like.
    """

    severity: Severity
    cases: Callable[[Survey], tuple[Sequence[Facts], dict[str, Any]]]
    message: str
    remedy: str
    mend: Callable[[Part, Survey], None] | None = None
    """Changes a pair so that the thing is not found in the copy; None where nobody but its maker could."""
    hopeless: Callable[[Survey], str] | None = None
    """What its maker has to do first, empty where `mend` can do without; None where it always can."""
    of_images: bool = False
    """Whether the image of a pair is the file to look at, not the label."""

    def find(self, name: str, survey: Survey) -> Finding | None:
        """The finding under that name, or None."""
        some, numbers = self.cases(survey)
        if not some:
            return None
        files = tuple(self._shown(one, survey.path) for one in some)
        others = tuple(self._shown(one, survey.path) for one in numbers.pop("others", ()))
        told = {"count": len(some), "first": files[0], "s": "" if len(some) == 1 else "s"} | numbers
        known = {word: Number(value) if isinstance(value, int) else value for word, value in told.items()}
        keys = tuple(one.record.key for one in some)
        return Finding(name, self.severity, self.message.format(**known), self.remedy.format(**known), keys, files, others)

    def _shown(self, one: Facts, root: Path) -> str:
        """The file of a pair to look at, from the folder of the data on."""
        record = one.record
        image_first = self.of_images or bool(one.image and one.image.error)
        file = record.image or record.label if image_first else record.label or record.image
        if file is None:
            return record.key
        return file.relative_to(root).as_posix() if root in file.parents else str(file)


def left_out(part: Part, survey: Survey) -> None:
    """Mends by leaving the pair out of the copy."""
    part.kept = False
