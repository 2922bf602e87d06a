"""Folders and lists: which image goes with which label, in which split."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from intarsia.core.errors import CannotHold, DatasetNotFound, PairingError, nearest
from intarsia.data.dataset import Record
from intarsia.data.images import IMAGE_SUFFIXES, LABEL_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["files_under", "found_images", "inner_key", "listed", "pair", "unique_keys", "whole_folder"]


def files_under(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """The files of a folder and below, by path without suffix, sorted; hidden ones are left out."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.suffix.lower() not in suffixes or any(part.startswith(".") for part in inner.parts):
            continue
        key = inner.with_suffix("").as_posix()
        if key in found:
            raise PairingError(str(path), expected=f"one file named {key}.*", received=f"{found[key].name} too", hint="Remove one.")
        found[key] = path
    return found


def pair(images: Path, masks: Path | None, rule: str = "{stem}", split: str = "") -> list[Record]:
    """A record for each image of a folder with the mask that `rule` names, such as `{stem}_P.png`; without a suffix any will do.

    `masks` None, or a folder that is not there or holds no labels, gives records without truth. Raises PairingError for an image
    without mask, and, where the rule is the bare stem, for a mask without image.
    """
    pictures = files_under(images)
    labels = files_under(masks, LABEL_SUFFIXES) if masks is not None and masks.is_dir() else {}
    named = {path.relative_to(masks).as_posix(): path for path in labels.values()} if masks is not None else {}
    found = {key: labels.get(_renamed(key, rule)) or named.get(_renamed(key, rule)) for key in pictures}
    if images == masks:  # masks beside their images are no images
        taken = set(found.values())
        found = {key: label for key, label in found.items() if pictures[key] not in taken}
    if labels:
        for key, label in found.items():
            if label is None:
                raise PairingError(
                    str(pictures[key]),
                    expected=f"a mask {masks}/{_renamed(key, rule)}" + ("" if Path(rule).suffix else " (.png, .tif, .npy ...)"),
                    received="none",
                    hint=f"Add it, remove the image, or name the rule. {nearest(Path(key).name, [Path(k).name for k in labels])}",
                )
        alone = sorted(set(labels) - set(found)) if rule == "{stem}" else []
        if alone:
            raise PairingError(str(labels[alone[0]]), expected=f"an image {images}/{alone[0]}.*", received="none")
    return [Record(key, pictures[key], label, split) for key, label in found.items()]


def listed(file: Path, known: Iterable[str]) -> list[str]:
    """The keys that a list file names, one per line: by key, by file name or by path, with or without suffix; columns after the
    first are ignored. Raises PairingError for a name that no image has.
    """
    by_stem = {Path(key).name: key for key in known}
    by_key = {key: key for key in known}
    keys = []
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        if not line.strip():
            continue
        texts = (line.strip(), line.split()[0])
        names = [name for text in texts for name in (text, str(Path(text).with_suffix("")), Path(text).name, Path(text).stem)]
        key = next((by_key.get(name) or by_stem.get(name) for name in names if name in by_key or name in by_stem), None)
        if key is None:
            raise PairingError(
                str(file), expected="names of images that are there", received=line.strip(), hint=nearest(line, by_stem)
            )
        keys.append(key)
    if not keys:
        raise PairingError(str(file), expected="a name of an image on each line", received="an empty list")
    return keys


def unique_keys(records: list[Record]) -> list[Record]:
    """The records with `split/` before each key where two splits share a name, else as they are."""
    if max(Counter(record.key for record in records).values(), default=1) > 1:
        return [replace(record, key=f"{record.split}/{record.key}") for record in records]
    return records


def found_images(root: Path, records: list[Record], looked: str) -> list[Record]:
    """The records, or DatasetNotFound where there are none."""
    if not records:
        raise DatasetNotFound(
            str(root), expected=f"images in {looked}", received="none", hint=f"Kinds read: {', '.join(IMAGE_SUFFIXES)}."
        )
    return records


def inner_key(record: Record) -> str:
    """The key within its split: the inverse of `unique_keys`."""
    return record.key.removeprefix(f"{record.split}/") if record.split else record.key


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary neighbour to write to, which becomes `path` at the end, or vanishes when anything fails.

    Raises CannotHold where `path` already holds something.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise CannotHold(str(path), expected="a new or an empty folder", received="one with files in it", hint="Name another.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(path.parent.stat().st_mode & 0o777)  # mkdtemp makes it private
        temporary.replace(path)
    except BaseException:
        rmtree(temporary, ignore_errors=True)
        raise


def _renamed(key: str, rule: str) -> str:
    stem = Path(key)
    return (stem.parent / rule.format(stem=stem.name)).as_posix()
