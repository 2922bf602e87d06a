"""Class files: codes.txt, classes.txt, colours as text, classes.json."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from intarsia.core.classes import ClassSet
from intarsia.core.errors import InvalidNoun, LabelError
from intarsia.data.coding import VOID_NAMES, Coding

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CLASS_FILES", "coding_near", "find_class_file", "numbers_objects", "read_classes", "read_colours", "write_classes"]

CLASS_FILES = ("classes.json", "codes.txt", "classes.txt", "class_names.txt", "label_colors.txt")
"""The class files that are looked for, in this order."""
COLOUR_FILES = ("colors.txt", "colours.txt", "label_colors.txt")
ACCEPTED = (
    "names, or 'id name', one per line (.txt); 'Name R G B' or 'R G B Name' per line (.txt); "
    "a list of names or of objects with a name, or an object with names, colours, void (.json)"
)
NAME_RGB = re.compile(r"(?P<name>.*\S)[\s,]+(?P<r>\d+)[\s,]+(?P<g>\d+)[\s,]+(?P<b>\d+)")
RGB_NAME = re.compile(r"(?P<r>\d+)[\s,]+(?P<g>\d+)[\s,]+(?P<b>\d+)[\s,]+(?P<name>.*\S)")
ID_NAME = re.compile(r"(?P<id>\d+)[\s:,]+(?P<name>.*\S)")

Colour = tuple[int, int, int]


def find_class_file(folder: Path) -> Path | None:
    """The first of `CLASS_FILES` in a folder."""
    return next((folder / name for name in CLASS_FILES if (folder / name).is_file()), None)


def coding_near(
    folder: Path,
    given: Path | None = None,
    *,
    above: int = 3,
    otherwise: str = "give classes=['sky', ...], or objects='cell' where the masks number objects",
) -> Coding:
    """The coding of the class file `given`, else of the first in `folder` or in as many folders `above`; 255 is void if free.

    Raises LabelError that says which names were looked for, and what can be done `otherwise`.
    """
    file = given or next((file for place in (folder, *folder.resolve().parents[:above]) if (file := find_class_file(place))), None)
    if file is None:
        raise LabelError(
            str(folder),
            expected=f"a class file, one of {', '.join(CLASS_FILES)}, in the folder{' or above' if above else ''}",
            received="none",
            hint=f"Write codes.txt with one class name per line (the line number from 0 is the id), or {otherwise}.",
        )
    return read_classes(file).with_void(None)


def numbers_objects(file: Path | None) -> bool:
    """Whether a classes.json says that the label files number objects (written by `write_classes(..., objects=True)`)."""
    if file is None or file.suffix != ".json":
        return False
    plain = json.loads(file.read_text(encoding="utf-8"))
    return isinstance(plain, dict) and bool(plain.get("objects"))


def read_classes(path: Path, **options: Any) -> Coding:
    """What the ids of label files mean, from a class file; `options` (things, nothing, groups) go to the ClassSet of a text file.

    The line or place of a name, from 0, is its id, unless a number stands before each name. Names such as Void or unlabelled
    (`VOID_NAMES`) are void. Colours come from the file itself or from a `colors.txt` or `label_colors.txt` beside it. Raises
    LabelError for a file that is none of the accepted.
    """
    if not path.is_file():
        raise LabelError(str(path), expected=f"a class file of {ACCEPTED}", received="no such file")
    try:
        if path.suffix.lower() == ".json":
            return _from_json(json.loads(path.read_text(encoding="utf-8")))
        ids, names, colours = _lines(path)
        if not colours:
            known = read_colours(path.parent)
            colours = [known[name] for name in names] if known and all(name in known for name in names) else []
        return Coding.from_names(names, colours, ids=ids, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidNoun, LabelError) as error:
        if isinstance(error, LabelError) and str(path) in str(error):
            raise
        raise LabelError(str(path), expected=ACCEPTED, received=f"{type(error).__name__}: {error}") from error


def read_colours(folder: Path) -> dict[str, Colour]:
    """RGB by name from the first colour file in a folder; empty where there is none."""
    path = next((folder / name for name in COLOUR_FILES if (folder / name).is_file()), None)
    if path is None:
        return {}
    _, names, colours = _lines(path)
    if not colours:
        raise LabelError(str(path), expected="'Name R G B' or 'R G B Name' on each line", received="names alone")
    return dict(zip(names, colours, strict=True))


def write_classes(coding: Coding, **more: Any) -> bytes:
    """The text of a classes.json that `read_classes` takes back, with `more` entries for the format's own use."""
    plain = {**coding.classes.to_dict(), "ids": coding.ids, "void_ids": coding.void, "nothing_ids": coding.nothing, **more}
    return (json.dumps(plain, indent=1) + "\n").encode()


def _lines(path: Path) -> tuple[list[int], list[str], list[Colour]]:
    """Ids (the line from 0, or the number before each name), names, and colours (empty where there are none) of a text file."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    for form in (RGB_NAME, NAME_RGB):
        found = [match for line in lines if (match := form.fullmatch(line))]
        if lines and len(found) == len(lines):
            colours = [(int(m["r"]), int(m["g"]), int(m["b"])) for m in found]
            return list(range(len(found))), [m["name"].strip() for m in found], colours
    found = [match for line in lines if (match := ID_NAME.fullmatch(line))]
    if lines and len(found) == len(lines):
        return [int(m["id"]) for m in found], [m["name"] for m in found], []
    twice = sorted({line for line in lines if lines.count(line) > 1})
    if not lines or twice or "" in lines:  # the line number is the id, so a blank line would be a class without a name
        received = f"{twice[0]!r} twice" if twice and twice[0] else f"line {lines.index('') + 1} blank" if lines else "no names"
        raise LabelError(str(path), expected=ACCEPTED, received=received)
    return list(range(len(lines))), lines, []


def _from_json(plain: Any) -> Coding:
    if isinstance(plain, list):
        plain = {"classes": plain}
    if "names" not in plain and "classes" in plain:
        return _from_objects(plain["classes"])
    if "ids" in plain:
        return Coding(
            ClassSet.from_dict(plain), tuple(plain["ids"]), tuple(plain.get("void_ids", ())), tuple(plain.get("nothing_ids", ()))
        )
    more = {key: plain[key] for key in ("things", "void", "groups", "nothing") if key in plain}
    return Coding.from_names(plain["names"], plain.get("colours", plain.get("colors", ())), **more)


def _from_objects(entries: list[Any]) -> Coding:
    """A list of names, or of objects with name and, where given, id, colour (RGB or #rrggbb), thing, void."""
    entries = [{"name": entry} if isinstance(entry, str) else entry for entry in entries]
    rows = [(int(entry.get("id", place)), entry) for place, entry in enumerate(entries)]
    void = [row for row in rows if row[1].get("void") or row[1]["name"].lower() in VOID_NAMES]
    kept = [row for row in rows if row not in void]
    colours = [_rgb(entry.get("colour", entry.get("color"))) for _, entry in kept]
    names = tuple(entry["name"] for _, entry in void) or ("void",)
    things = tuple(entry["name"] for _, entry in kept if entry.get("thing", entry.get("isthing")))
    classes = ClassSet(
        tuple(entry["name"] for _, entry in kept), tuple(c for c in colours if c) if all(colours) else (), things, names
    )
    return Coding(classes, tuple(value for value, _ in kept), tuple(value for value, _ in void))


def _rgb(colour: Any) -> Colour | None:
    if colour is None:
        return None
    if isinstance(colour, str):
        colour = bytes.fromhex(colour.removeprefix("#"))
    red, green, blue = colour
    return int(red), int(green), int(blue)
