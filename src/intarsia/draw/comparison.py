"""Image, truth, prediction and where they differ, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.draw._colours import VOID, flat, painted, row_colours
from intarsia.draw._found import found
from intarsia.draw._outlines import line_colours, outline
from intarsia.draw._panels import beside, fitted, framed, stacked, swatches, titled
from intarsia.draw.as_rgb import as_rgb
from intarsia.draw.legend import counted, legend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments

__all__ = ["comparison", "error_map"]

WRONG = (255, 45, 85)
FOUND, MISSED, FALSE, STUFF = (120, 190, 150), (40, 110, 255), WRONG, (255, 170, 30)
"""Of objects; the last for what is neither a true nor a predicted object and of the wrong class."""


def comparison(
    image: NDArray[Any], truth: Segments, prediction: Segments, classes: ClassSet, *, title: str = "", objects: bool = False
) -> NDArray[np.uint8]:
    """(H', W', 3) image | truth | prediction | error with titles and a legend; void is black, panels are 320 to 640 pixels across.

    The error panel is that of `error_map`, its title the share of labelled pixels whose class is wrong. With `objects` it shows
    things one by one: those that were found faintly, those missed in blue, false alarms in red; their numbers are in its title. An
    object is found where one of its class has more than half of their union (IoU); its answer then has its colour. Stuff of the
    wrong class is orange.
    A volume shows its middle slice. Raises InvalidNoun where sizes differ.
    """
    truth, prediction, base = flat(truth), flat(prediction), as_rgb(image)
    wrong, void = _wrong(base, truth, prediction, len(classes))
    page = (_objects if objects else _pixels)(base, truth, prediction, classes, wrong, void)
    present = np.union1d(truth.semantic(len(classes)), prediction.semantic(len(classes)))
    inside = present[(present >= 0) & (present < len(classes))].tolist()
    notes = _numbers(truth, prediction, classes) if objects else {}
    strip = legend(classes, inside, width=page.shape[1], void=bool(void.any()), nothing=len(classes) in present, notes=notes)
    page = stacked([page, strip], gap=4)
    return framed(titled(page, title, 19) if title else page)


def error_map(image: NDArray[Any], truth: Segments, prediction: Segments, classes: ClassSet) -> NDArray[np.uint8]:
    """(H, W, 3) red where the class predicted is not the true one, the image in faint grey where it is, black where truth is void.

    Classes are compared, not objects. Raises InvalidNoun where sizes differ.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = Segments([[[1, 1, -1]]], [0]), Segments([[[1, 2, 2]]], [0, 1])
    >>> error_map(np.zeros((1, 3, 1), np.uint8), truth, guess, ClassSet(("sky", "road")))[0].tolist()
    [[105, 105, 105], [255, 45, 85], [0, 0, 0]]
    """
    truth, prediction, base = flat(truth), flat(prediction), as_rgb(image)
    wrong, void = _wrong(base, truth, prediction, len(classes))
    picture = _faint(base)
    picture[wrong] = WRONG
    picture[void] = VOID
    return picture


def _pixels(
    base: NDArray[np.uint8],
    truth: Segments,
    prediction: Segments,
    classes: ClassSet,
    wrong: NDArray[np.bool_],
    void: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """The panels where classes are compared."""
    share = wrong.sum() / max(1, (~void).sum())
    panels = {
        "image": base,
        "truth": painted(truth, row_colours(truth, classes)),
        "prediction": painted(prediction, row_colours(prediction, classes)),
        f"error: {share:.1%} of the labelled pixels": error_map(base, truth, prediction, classes),
    }
    return beside([titled(fitted(panel), name) for name, panel in panels.items()])


def _objects(
    base: NDArray[np.uint8],
    truth: Segments,
    prediction: Segments,
    classes: ClassSet,
    wrong: NDArray[np.bool_],
    void: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """The panels where objects are compared."""
    match = found(truth, prediction, classes)
    true_colours = row_colours(truth, classes)
    answers = np.flatnonzero(match.answers >= 0)
    given = dict(zip(answers.tolist(), true_colours[match.answers[answers]], strict=True))
    counts = {"found": len(answers), "missed": int(match.missed.sum()), "false": int(match.false.sum())}
    error = _faint(base)
    key = [(FOUND, "found"), (MISSED, "missed"), (FALSE, "false alarm")]
    if not classes.is_thing[prediction.classes].all():
        things = _mask(truth, classes.is_thing[truth.classes]) | _mask(prediction, classes.is_thing[prediction.classes])
        _tinted(error, wrong & ~things, STUFF, 0.8)
        key.append((STUFF, "other class"))
    _tinted(error, _mask(truth, match.partner >= 0), FOUND, 0.4)
    alone = [(truth, match.missed, MISSED), (prediction, match.false, FALSE)]
    for segments, rows, colour in alone:
        _tinted(error, _mask(segments, rows), colour, 0.65)
    for segments, rows, colour in alone:
        _outlined(error, segments, rows, colour)
    error[void] = VOID
    panels = {
        "image": base,
        "truth": _drawn(truth, true_colours, classes),
        "prediction": _drawn(prediction, row_colours(prediction, classes, given=given), classes),
        "objects: " + ", ".join(f"{count} {name}" for name, count in counts.items()): error,
    }
    pages = [titled(fitted(panel), name) for name, panel in panels.items()]
    pages[-1] = stacked([pages[-1], swatches(key, pages[-1].shape[1])])
    return beside(pages)


def _drawn(segments: Segments, table: NDArray[np.uint8], classes: ClassSet) -> NDArray[np.uint8]:
    """(H, W, 3) the segments as flat colours, and their edges, hidden ones too."""
    picture = painted(segments, table)
    outline(picture, segments, line_colours(table, segments, classes))
    return picture


def _numbers(truth: Segments, prediction: Segments, classes: ClassSet) -> dict[int, str]:
    """Notes for the legend: how many things of each class there are, and how many are predicted."""
    true, answered = (counted(one.compact(), classes) for one in (truth, prediction))
    return {index: f"{true.get(index, '0')}, predicted {answered.get(index, '0')}" for index in true.keys() | answered.keys()}


def _faint(base: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) the image in grey, dimmed to 105..168."""
    grey = cv2.cvtColor(base, cv2.COLOR_RGB2GRAY) // 4 + np.uint8(105)  # (H, W, 3) -> (H, W)
    return np.repeat(grey[..., None], 3, axis=-1)  # (H, W) -> (H, W, 3)


def _mask(segments: Segments, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) where any of the rows (N,) is."""
    table = np.concatenate([[False], rows, [False]])
    return np.asarray(table.take(segments.ids, mode="wrap").any(axis=0))  # (L, H, W) -> (H, W)


def _tinted(picture: NDArray[np.uint8], where: NDArray[np.bool_], colour: tuple[int, int, int], alpha: float) -> None:
    """Lays a colour over part of the picture."""
    picture[where] = (alpha * np.array(colour) + (1 - alpha) * picture[where]).round().astype(np.uint8)


def _outlined(picture: NDArray[np.uint8], segments: Segments, rows: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    """Draws the edge of each of the rows (N,), within it."""
    table = np.concatenate([[0], np.where(rows, np.arange(1, len(rows) + 1), 0), [0]]).astype(np.float32)  # what cv2 takes
    square = np.ones((3, 3), np.uint8)
    for layer in segments.ids:
        kept: NDArray[Any] = table.take(layer, mode="wrap")
        picture[(cv2.erode(kept, square) < kept) | (kept > 0) & (cv2.dilate(kept, square) > kept)] = colour


def _wrong(
    base: NDArray[np.uint8], truth: Segments, prediction: Segments, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(H, W) where the classes differ, and where truth is void, which is never wrong."""
    for name, size in (("truth", truth.size), ("prediction", prediction.size)):
        if size != base.shape[:2]:
            raise InvalidNoun(name, expected=f"the image's size {base.shape[:2]}", received=size)
    void = truth.void
    return (truth.semantic(count) != prediction.semantic(count)) & ~void, void
