"""Folders and lists: which image goes with which label, in which split."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from secrets import token_hex
from shutil import rmtree
from typing import TYPE_CHECKING

from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError, OptionError, PairingError, nearest
from intarsia.data.dataset import SPLITS
from intarsia.data.images import IMAGE_SUFFIXES, LABEL_SUFFIXES
from intarsia.data.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "IMAGE_FOLDERS", "MASK_FOLDERS", "MASK_SUFFIXES", "Listing", "apart", "files_under", "found_images", "holds_pictures",
    "inferred_rule", "listed", "listing", "pair", "places", "renamed", "split_by_lists", "split_folders", "splits_listed",
    "unique_keys", "walked", "whole_folder",
]  # fmt: skip

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "PNGImages", "JPEGImages")
MASK_SUFFIXES = ("_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_segmentation", "_annotation")
"""What masks often add to the stems of their images."""
MASK_FOLDERS = ("masks", "labels", "mask", "label", "annotations", "PedMasks")


def files_under(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """The files of a folder and below, by path without suffix, sorted; hidden ones are left out."""
    found: dict[str, Path] = {}
    for path in sorted(walked(folder)):
        inner = path.relative_to(folder)
        if path.suffix.lower() not in suffixes or any(part.startswith(".") for part in inner.parts):
            continue
        key = inner.with_suffix("").as_posix()
        if key in found:
            raise PairingError(str(path), expected=f"one file named {key}.*", received=f"{found[key].name} too", hint="Remove one.")
        found[key] = path
    return found


def walked(folder: Path) -> Iterator[Path]:
    """The files of a folder and below, through links too, but for those to a folder above."""
    for place, folders, names in os.walk(folder, followlinks=True):
        real = f"{os.path.realpath(place)}/"
        folders[:] = [name for name in folders if not real.startswith(f"{os.path.realpath(f'{place}/{name}')}/")]
        yield from (Path(place, name) for name in names)


def holds_pictures(folder: Path) -> bool:
    """Whether a picture lies in a folder or below, or nothing at all: told at the first, for there may be many."""
    files = (path.suffix.lower() for path in walked(folder))
    first = next(files, None)
    return first is None or any(suffix in IMAGE_SUFFIXES for suffix in (first, *files))


def inferred_rule(images: Sequence[str], masks: Sequence[str]) -> str:
    """The rule that names the mask of an image, by the stems that are there: `{stem}`, or with one of `MASK_SUFFIXES`.

    >>> inferred_rule(["a", "b"], ["a_mask", "b_mask"])
    '{stem}_mask'
    """
    known = set(masks)
    if known.isdisjoint(images):
        for suffix in MASK_SUFFIXES:
            if any(f"{stem}{suffix}" in known for stem in images):
                return f"{{stem}}{suffix}"
    return "{stem}"


def pair(images: Path, masks: Path | None, rule: str | None = "{stem}", split: str = "", *, strict: bool = True) -> list[Record]:
    """A record for each image of a folder with the mask that `rule` names, such as `{stem}_P.png`; without a suffix any will do,
    and None looks for one (see `inferred_rule`).

    `masks` None, or a folder that is not there or holds no labels, gives records without truth. Raises PairingError for an image
    without mask, and, where the rule is the bare stem, for a mask without image; not `strict`, the image has no truth and the mask
    is left over.
    """
    pictures = files_under(images)
    labels = files_under(masks, LABEL_SUFFIXES) if masks is not None and masks.is_dir() else {}
    rule = rule or inferred_rule(list(pictures), list(labels))
    named = {f"{key}{path.suffix.lower()}": path for key, path in labels.items()}
    plain = rule.removesuffix(Path(rule).suffix) + Path(rule).suffix.lower()
    found = {key: labels.get(renamed(key, rule)) or named.get(renamed(key, plain)) for key in pictures}
    if masks is not None and images in masks.parents:  # a mask folder within the image folder
        found = {key: label for key, label in found.items() if masks not in pictures[key].parents}
    if images == masks:  # masks beside their images are no images
        taken = set(found.values())
        found = {key: label for key, label in found.items() if pictures[key] not in taken}
    if labels and strict:
        for key, label in found.items():
            if label is None:
                raise PairingError(
                    str(pictures[key]),
                    expected=f"a mask {masks}/{renamed(key, rule)}" + ("" if Path(rule).suffix else " (.png, .tif, .npy ...)"),
                    received="none",
                    hint=f"Add it, remove the image, or name the rule. {nearest(Path(key).name, [Path(k).name for k in labels])}",
                )
        alone = sorted(set(labels) - set(found)) if rule == "{stem}" else []
        if alone:
            raise PairingError(str(labels[alone[0]]), expected=f"an image {images}/{alone[0]}.*", received="none")
    return [Record(key, pictures[key], label, split) for key, label in found.items()]


@dataclass(frozen=True)
class Listing:
    """The files of a folder, listed once."""

    folder: Path
    files: frozenset[str]

    def named(self, name: str) -> Path:
        """The path within the folder of a file that is named by its path, whole or in part. Raises PairingError for none."""
        path = PurePosixPath(name.replace("\\", "/"))
        for start in range(len(path.parts)):
            inner = PurePosixPath(*path.parts[start:])
            if str(inner) in self.files:
                return Path(inner)
        raise PairingError(
            f"{self.folder}",
            expected=f"an image {name}",
            received=f"{len(self.files)} other files" if self.files else "no files",
            hint=nearest(path.name, sorted(self.files)[:1000]) if self.files else "Name the folder of the images: images='...'.",
        )


def listing(folder: Path) -> Listing:
    """The files of a folder and below."""
    return Listing(folder, frozenset(file.relative_to(folder).as_posix() for file in walked(folder)))


def listed(file: Path, known: Iterable[str]) -> list[str]:
    """The keys that a list file names, one per line: by key, by file name or by path, with or without suffix; columns after the
    first are ignored. Of a path, the longest end that is the end of a key counts. Raises PairingError for a name that no image has,
    or several have.
    """
    by_end: dict[str, list[str]] = {}
    for key in known:
        for end in _ends(key):
            by_end.setdefault(end, []).append(key)
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise LabelError(str(file), expected="names of images in UTF-8", received=str(error)) from error
    keys = []
    for line in lines:
        texts = [text.replace("\\", "/") for text in (line, line.split()[0])]
        ends = (end for text in texts for both in zip(_ends(text), _ends(os.path.splitext(text)[0]), strict=True) for end in both)
        end = next((end for end in ends if end in by_end), "")
        if not end:
            known_ends = [name for name in by_end if "/" not in name]
            raise PairingError(str(file), expected="names of images that are there", received=line, hint=nearest(line, known_ends))
        if len(by_end[end]) > 1 and end not in by_end[end]:
            raise PairingError(
                str(file), expected="the name of one image on each line", received=f"{line}, which {by_end[end][:4]} have"
            )
        keys.append(end if end in by_end[end] else by_end[end][0])
    if not keys:
        raise PairingError(str(file), expected="a name of an image on each line", received="an empty list")
    return keys


def _ends(path: str) -> list[str]:
    """A path and its ends, the longest first: a/b/c, b/c, c."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def splits_listed(lists: Iterable[tuple[str, Path]], known: Sequence[str]) -> dict[str, str]:
    """The split of each key that a list names, of (split, list file). Raises PairingError for an image in two splits."""
    split_of: dict[str, str] = {}
    for split, file in lists:
        for key in listed(file, known):
            if split_of.setdefault(key, split) != split:
                received = f"{key} also in {split_of[key]}"
                raise PairingError(str(file), expected="each image in one list", received=received, hint="Remove it from one.")
    return split_of


def places(root: Path, images: str | None = None, masks: str | None = None) -> list[tuple[str, Path, Path | None]]:
    """(split, image folder, mask folder or None) for `train/images`, else `images/train`, else flat `images`; empty where no
    folder is of the given or usual names.
    """
    for name in (images,) if images is not None else IMAGE_FOLDERS:
        inner = [(split, root / place / name, root / place) for place, split in _splits(root) if (root / place / name).is_dir()]
        if inner:
            return [(split, pictures, _mask_folder(place, masks)) for split, pictures, place in inner]
        if (root / name).is_dir():
            below = _mask_folder(root, masks)
            outer = [(split, root / name / place, below and below / place) for place, split in _splits(root / name)]
            return outer or [("", root / name, below)]
    return []


def split_by_lists(root: Path, records: list[Record]) -> list[Record]:
    """The records in the splits of the list files in `root`, for those that no folder has split.

    Without a train list the images that no list names are `train`; with one they are left out. Raises PairingError for an image in
    two lists.
    """
    files = [(split, root / f"{name}.txt") for name, split in SPLITS.items() if (root / f"{name}.txt").is_file()]
    if not files or any(record.split for record in records):
        return records
    split_of = splits_listed(files, [record.key for record in records])
    rest = "" if "train" in split_of.values() else "train"
    assigned = [replace(record, split=split_of.get(record.key, rest)) for record in records]
    return [record for record in assigned if record.split]


def unique_keys(records: list[Record]) -> list[Record]:
    """The records with `split/` before each key where two splits share a name, else as they are. Raises PairingError for two images
    of one key in one split.
    """
    if max(Counter(record.key for record in records).values(), default=1) == 1:
        return records
    first: dict[tuple[str, str], Record] = {}
    for record in records:
        other = first.setdefault((record.split, record.key), record)
        if other is not record:
            received = f"{record.key!r} for {other.image} and {record.image}"
            raise PairingError(str(record.image), expected="each image once", received=received, hint="Rename or remove one.")
    return [replace(record, key=f"{record.split}/{record.key}") for record in records]


def found_images(records: list[Record], looked: Sequence[Path]) -> list[Record]:
    """The records, or DatasetNotFound where the folders `looked` in gave none."""
    if not records:
        files = any(True for folder in looked for _ in walked(folder))
        raise DatasetNotFound(
            ", ".join(map(str, looked)),
            expected="images",
            received="other files" if files else "an empty folder",
            hint=f"Kinds read: {', '.join(IMAGE_SUFFIXES)}.",
        )
    return records


def apart(data: Path, out: Path, option: str) -> None:
    """Raises OptionError for a new folder that is that of the data, within it, or around it."""
    ours, new = data.resolve(), out.resolve()
    if ours == new or ours in new.parents or new in ours.parents:
        hint = "What is written there would be taken for data, or lie over it: name a folder beside it."
        raise OptionError(option, expected=f"a folder apart from the data {data}", received=str(out), hint=hint)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary neighbour to write to, which becomes `path` at the end, or vanishes when anything fails.

    Raises CannotHold where `path` already holds something.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise CannotHold(str(path), expected="a new or an empty folder", received="one with files in it", hint="Name another.")
    if path.is_symlink():
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")  # mkdtemp would make it private
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        rmtree(temporary, ignore_errors=True)
        raise


def split_folders(folder: Path) -> list[tuple[Path, str]]:
    """The sub-folders that are named like splits, with their splits, else the folder itself, which is in none."""
    return [(folder / name, split) for name, split in _splits(folder)] or [(folder, "")]


def _splits(folder: Path) -> list[tuple[str, str]]:
    """The sub-folders that are named like splits, and the split."""
    order = ["train", "val", "test"]
    found = [
        (entry.name, SPLITS[entry.name.lower()]) for entry in folder.iterdir() if entry.name.lower() in SPLITS and entry.is_dir()
    ]
    return sorted(found, key=lambda pair: order.index(pair[1]))


def _mask_folder(root: Path, masks: str | None) -> Path | None:
    names = (masks,) if masks is not None else MASK_FOLDERS
    return next((root / name for name in names if (root / name).is_dir()), None)


def renamed(key: str, rule: str) -> str:
    """The key of the mask that `rule` names for the image `key`."""
    stem = Path(key)
    return (stem.parent / rule.replace("{stem}", stem.name)).as_posix()
