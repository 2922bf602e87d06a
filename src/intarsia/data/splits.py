"""Splits: which image is trained on, which chooses, which tests; made once, kept in a small file, the same on each machine."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import DatasetNotFound, InvalidNoun, LabelError, LeakError, OptionError, UnreadableFile, nearest
from intarsia.data.dataset import SPLITS, shuffled, split_place
from intarsia.data.doctor._facts import read_facts
from intarsia.data.doctor.similar_images import near
from intarsia.data.images import write_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.data.dataset import Dataset
    from intarsia.data.records import Record

__all__ = ["Splits", "class_pixels", "groups_of", "make_splits", "read_splits", "similar_groups"]

MISSED = 0.05
"""How far the share of a split may be from the one asked for without a word."""
ENTRIES = ("made", "folds", "splits", "groups")
"""Of the file."""


@dataclass(frozen=True)
class Splits:
    """The split of each key; of k-fold ones "0", "1" ... name the folds, of which each is the val of one training.

    >>> kept = Splits({"a": "train", "b": "val"})
    >>> kept.keys("val")
    ['b']
    """

    of: Mapping[str, str]
    folds: int = 0
    """How many; 0 for splits that are no folds."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """The group of each key, such as its patient; no two splits may share one."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """How they were made, for the reader of the file."""

    def __post_init__(self) -> None:
        strange = sorted(set(self.of.values()) - {str(fold) for fold in range(self.folds)}) if self.folds else []
        if strange:
            expected = f"names of folds alone, 0 to {self.folds - 1}"
            hint = "Leave `folds` out, or name the folds."
            raise InvalidNoun(f"splits of {self.folds} folds", expected=expected, received=", ".join(strange), hint=hint)

    def __str__(self) -> str:
        counts = Counter(self.of.values())
        return ", ".join(f"{split} {counts[split]}" for split in sorted(counts, key=split_place))

    @property
    def notes(self) -> list[str]:
        """What whoever has made them should know: shares that were missed, and images that are in no fold."""
        total, asked = len(self.of), dict(self.made.get("shares", {}))
        notes = []
        for split, share in asked.items():
            got = len(self.keys(split)) / total
            whole = self.groups and abs(got - share) * total >= 1  # what is less than an image no group is to blame for
            why = "groups stay whole" if whole else f"{total} images cannot be parted nearer"
            if abs(got - share) > MISSED:
                notes.append(f"{split} was to have {share:.0%} of the images and has {got:.0%}, for {why}")
        own = self.made.get("own_test", 0)
        return notes + [f"{own} images of the data's own test split are in no fold, and stay test"] * bool(own)

    def keys(self, split: str) -> list[str]:
        """Those of one split, in the order of the file."""
        return [key for key, own in self.of.items() if own == split]

    def apply(self, dataset: Dataset, *, fold: int | None = None, waive: Collection[str] = ()) -> Dataset:
        """The data set in these splits, images that they do not name left out; of folds, `fold` is val and the rest train.

        Raises LabelError for keys that the data set lacks, OptionError for a fold that is not there, and, unless `waive` names
        "leak", LeakError where two splits share a group.
        """
        if "leak" not in waive:
            self.check()
        missing = sorted(set(self.of) - set(dataset.keys))
        if missing:
            near = nearest(missing[0], dataset.keys)
            raise LabelError("splits", expected=f"keys of {dataset.where}", received=", ".join(missing[:3]), hint=near)
        if self.folds and (fold is None or not 0 <= fold < self.folds):
            received, hint = ("none", "Say which is val: fold=0.") if fold is None else (fold, "")
            raise OptionError("fold", expected=f"0 to {self.folds - 1}", received=received, hint=hint)
        if fold and not self.folds:
            raise OptionError("fold", expected="splits that are folds", received=f"fold={fold} of splits {self}")
        own_test = {record.key: "test" for record in dataset.records if self.folds and record.split == "test"}
        of = own_test | {key: ("val" if own == str(fold) else "train") if self.folds else own for key, own in self.of.items()}
        return dataset.subset(replace(record, split=of[record.key]) for record in dataset.records if record.key in of)

    def check(self) -> None:
        """Raises LeakError where a group lies in two splits."""
        home: dict[str, str] = {}
        for key, group in self.groups.items():
            split = self.of.get(key)
            if split is not None and home.setdefault(group, split) != split:
                raise LeakError(
                    f"group {group!r}",
                    expected="all its images in one split",
                    received=f"some in {home[group]}, {key!r} in {split}",
                    hint="Scores on images that resemble those of the training say too much: split anew, or --waive leak.",
                )

    def write(self, path: Path) -> None:
        """Write a JSON file, a key on each line."""
        splits = {split: self.keys(split) for split in dict.fromkeys(self.of.values())}
        content = {"made": dict(self.made), "folds": self.folds, "splits": splits, "groups": dict(self.groups)}
        write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_splits(path: Path) -> Splits:
    """The splits of a file that `Splits.write` has written, or a person, who may say "validation" for "val" (see `SPLITS`). Raises
    LabelError for what is none, and for an entry of another name, such as a misspelt "groups" that would guard nothing.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        named = [(key, SPLITS.get(split.lower(), split)) for split, keys in content["splits"].items() for key in keys]
        strange = next((entry for entry in content if entry not in ENTRIES), None)
        groups, made = dict(content.get("groups", {})), dict(content.get("made", {}))
        found = Splits(dict(named), int(content.get("folds", 0)), groups, made)
    except FileNotFoundError as error:
        hint = "Make it: intarsia split."
        raise DatasetNotFound(str(path), expected="a file of splits", received="no such file", hint=hint) from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise LabelError(str(path), expected='{"splits": {"train": [keys], "val": [keys]}}', received=str(error)) from error
    if strange is not None:
        hint = nearest(strange, ENTRIES)
        raise LabelError(str(path), expected=f"the entries {', '.join(ENTRIES)}", received=repr(strange), hint=hint)
    twice = next((key for key, count in Counter(key for key, _ in named).items() if count > 1), None)
    if twice is not None:
        raise LeakError(str(path), expected="each image in one split", received=f"{twice!r} in two")
    return found


def make_splits(
    dataset: Dataset,
    *,
    val: float = 0.15,
    test: float = 0.0,
    folds: int = 0,
    stratify: bool = True,
    group_by: str = "",
    seed: int = 0,
) -> Splits:
    """Splits the images of a data set, whatever split they are in; but those that the data keeps for its own test are left out of
    folds, and `apply` leaves them where they are.

    `val` and `test` are shares of the images, `folds` above 1 makes so many equal parts instead. With `stratify` each part gets its
    share of the pixels of each class, as well as whole images allow: the rarest class is dealt out first (Sechidis et al. 2011, "On
    the stratification of multi-label data", for pixels). `group_by` keeps images together that belong together: "folder",
    "similar" for those that look almost the same (see `similar_groups`), or a regular expression whose first group, found in the
    key, names the patient, the scene, the day.

    The same for a seed on every machine. Raises OptionError for shares and folds that cannot be had.
    """
    if folds == 1 or folds < 0 or min(val, test) < 0 or not (folds or 0 < val + test < 1):
        received = {"val": val, "test": test, "folds": folds}
        raise OptionError("splits", expected="val and test that add up to less than 1, or two folds and more", received=received)
    own_test = sum(record.split == "test" for record in dataset.records) if folds else 0
    dataset = dataset.subset(record for record in dataset.records if not own_test or record.split != "test")
    groups = similar_groups(dataset) if group_by == "similar" else groups_of(dataset.keys, group_by)
    names = list(dict.fromkeys(groups.values()))
    shares = {str(fold): 1 / folds for fold in range(folds)} if folds else {"train": 1 - val - test, "val": val, "test": test}
    shares = {split: share for split, share in shares.items() if share > 0}
    if len(names) < len(shares):
        raise OptionError("splits", expected=f"at least {len(shares)} images or groups", received=len(names))
    place = {name: number for number, name in enumerate(names)}
    pixels = class_pixels(dataset) if stratify else np.zeros((len(dataset), 0))
    weights = np.zeros((len(names), pixels.shape[1] + 1))
    for key, row in zip(dataset.keys, pixels, strict=True):
        weights[place[groups[key]]] += [*row, 1]
    order = np.array([place[name] for name in shuffled(names, seed)])
    split = _dealt(weights[order], np.array(list(shares.values())))[np.argsort(order)]
    of = {key: list(shares)[split[place[groups[key]]]] for key in dataset.keys}
    made = {"data": dataset.name, "seed": seed, "stratify": stratify, "group_by": group_by, "shares": shares}
    made |= {"own_test": own_test} if own_test else {}
    return Splits(of, folds, groups if group_by else {}, made)


def groups_of(keys: Sequence[str], by: str) -> dict[str, str]:
    r"""The group of each key: "" makes each its own, "folder" takes the folder it lies in, else a regular expression.

    Raises OptionError for an expression that is none or has no group, and for a key that it does not match.

    >>> groups_of(["p7_a", "p7_b"], r"(p\d+)_")
    {'p7_a': 'p7', 'p7_b': 'p7'}
    """
    if by in ("", "folder"):
        return {key: key if not by else key.rpartition("/")[0] for key in keys}
    try:
        rule = re.compile(by)
    except re.error as error:
        raise OptionError("group_by", expected="folder, similar, or a regular expression", received=f"{by!r}: {error}") from error
    found = {key: rule.search(key) for key in keys}
    strange = next((key for key, match in found.items() if match is None), None)
    if strange is not None or not rule.groups:
        raise OptionError(
            "group_by",
            expected=r"an expression with a group that each key has, such as 'patient_(\d+)'",
            received=f"{by!r}, which has no group" if not rule.groups else f"{by!r}, which {strange!r} has nothing of",
        )
    return {key: match[1] for key, match in found.items() if match}


def similar_groups(dataset: Dataset) -> dict[str, str]:
    """The group of each key, named by the first in it: images that look almost the same by the doctor's measure, such as frames of
    one film, each of which may resemble only the next.

    Raises OptionError for images that lie in no files, UnreadableFile for one that cannot be read.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        thumbs = np.array(list(pool.map(lambda record: _thumb(dataset, record), dataset.records)))  # (N, 16, 16)
    home = list(range(len(thumbs)))  # of each image one before it in its group, at last the first

    def first(place: int) -> int:
        while home[place] != place:
            home[place] = place = home[home[place]]
        return place

    while pairs := near(thumbs, [first(place).to_bytes(8, "big") for place in range(len(home))]):  # of other groups, one for each
        for one, other in pairs:
            before, after = sorted((first(one), first(other)))
            home[after] = before
    return {key: dataset.keys[first(place)] for place, key in enumerate(dataset.keys)}


def _thumb(dataset: Dataset, record: Record) -> NDArray[np.uint8]:
    """(16, 16) the image made small, as the doctor does."""
    image = read_facts(replace(record, label=None), reader=dataset.reader, pictures=False).image
    if image is None:
        raise OptionError("group_by", expected="images in files, to find similar ones", received=f"{record.key!r} in memory")
    if image.error:
        raise UnreadableFile(record.key, expected="an image that can be read", received=image.error)
    return image.thumb


def class_pixels(dataset: Dataset) -> NDArray[np.float64]:
    """(images, C) the pixels of each class; 0 for images without truth."""
    counts = np.zeros((len(dataset), len(dataset.classes)))
    for row in range(len(dataset)):
        segments = dataset.segments(row)
        if segments is not None:
            np.add.at(counts[row], segments.classes, segments.areas)
    return counts


def _dealt(weights: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """(G,) the part that each group goes to, so that each of K parts gets its share (K,) of every column of weights (G, M).

    The column that fewest of the groups left have is dealt first, its largest group to the part that lacks most of it; of equal
    ones the first in order. A part that has its images, but for less than half the group, gets no more while another lacks some.
    """
    total = weights.sum(axis=0)
    weights = weights[:, total > 0] / total[total > 0]
    need = np.repeat(shares[:, None], weights.shape[1], axis=1)  # (K, M) of each column what a part still lacks
    part = np.full(len(weights), -1, np.int64)
    while (left := np.flatnonzero(part < 0)).size:
        column = int(np.argmin(np.count_nonzero(weights[left] > 0, axis=0) + np.where(weights[left].any(axis=0), 0, np.inf)))
        group = left[np.argmax(weights[left, column])]
        room = need[:, -1] >= weights[group, -1] / 2 - 1e-12
        room = room if room.any() else need[:, -1] > need[:, -1].max() - 1e-12
        lack = np.where(room, need[:, column] / shares, -np.inf)
        best = np.flatnonzero(lack > lack.max() - 1e-12)
        chosen = best[np.argmax(need[best, -1])]  # of those that lack the same, the one that lacks most images
        part[group] = chosen
        need[chosen] -= weights[group]
    return part
