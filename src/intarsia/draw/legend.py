"""Which colour is which class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import OptionError
from intarsia.draw._colours import NOTHING, VOID
from intarsia.draw._panels import swatches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["legend", "counted"]  # noqa: RUF022  the first is the member


def legend(
    classes: ClassSet,
    present: Iterable[int] | None = None,
    *,
    width: int = 480,
    void: bool = False,
    nothing: bool = False,
    notes: Mapping[int, str] | None = None,
) -> NDArray[np.uint8]:
    """(H, width, 3) a strip of colours and names on white, as high as it needs: of the classes in `present` (indices), or of all.

    `void` and `nothing` add their entries; `notes` adds text to a name, with -1 for void and C for nothing.
    Raises OptionError for an index that is no class.

    >>> from intarsia.core import ClassSet
    >>> legend(ClassSet(("sky", "road")), width=300).shape
    (29, 300, 3)
    """
    chosen = range(len(classes)) if present is None else list(present)
    wrong = [index for index in chosen if not 0 <= index < len(classes)]
    if wrong:
        raise OptionError("present", expected=f"class indices 0..{len(classes) - 1}", received=wrong)
    entries = [(index, classes.colours[index], classes.names[index]) for index in chosen]
    entries += [(len(classes), NOTHING, "nothing")] if nothing else []
    entries += [(-1, VOID, "void")] if void else []
    notes = notes or {}
    return swatches([(colour, f"{name}  {notes[index]}" if index in notes else name) for index, colour, name in entries], width)


def counted(segments: Segments, classes: ClassSet) -> dict[int, str]:
    """Notes for the things: how many of each class there are, a crowd apart. Stuff is not counted.

    >>> from intarsia.core import ClassSet, Segments
    >>> street = ClassSet(("road", "car"), things=("car",))
    >>> counted(Segments([[[1, 2, 3, 4]]], [0, 1, 1, 1], crowd=[0, 0, 0, 1]), street)
    {1: '2 and a crowd'}
    """
    notes = {}
    for index in set(segments.classes.tolist()):
        rows = segments.classes == index
        if classes.names[index] in classes.things:
            crowds = int(segments.crowd[rows].sum())
            more = "" if not crowds else " and a crowd" if crowds == 1 else f" and {crowds} crowds"
            notes[index] = f"{int(rows.sum()) - crowds}{more}"
    return notes
