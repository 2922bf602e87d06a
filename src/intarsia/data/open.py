"""open_dataset: a folder to a Dataset, whatever its format."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find, members
from intarsia.core.errors import DatasetNotFound, OptionError, few, nearest
from intarsia.data.folders import walked
from intarsia.data.images import IMAGE_SUFFIXES
from intarsia.data.label_cache import LabelCache
from intarsia.data.splits import read_splits

if TYPE_CHECKING:
    from collections.abc import Collection

    from intarsia.data.dataset import Dataset
    from intarsia.data.format import Format

__all__ = ["detect", "located", "open_dataset"]

FAMILY = "data.formats"
GENERAL = ("val", "test", "seed", "splits", "fold")
"""Options of all formats."""


def open_dataset(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    val: float = 0.0,
    test: float = 0.0,
    seed: int = 0,
    splits: str | os.PathLike[str] | None = None,
    fold: int | None = None,
    waive: Collection[str] = (),
    cache_bytes: int = 256 << 20,
    **options: Any,
) -> Dataset:
    """The data set in a folder, its format found by asking each file of `data/formats`, or named; `options` are the format's own.

    `val` and `test` hold shares of the unsplit or train images back, the same on each machine for a `seed`; `splits` is a file that
    says which image is in which split instead (see `make_splits`), `fold` which of its folds is val; `waive` may name "leak", the
    error of a file whose splits share a group. The label cache takes up to `cache_bytes` (see `LabelCache`).

    A bare name such as "camvid" that is no folder here is looked for in the folder that INTARSIA_DATA names. Raises DatasetNotFound
    for a missing or unknown folder, OptionError for an unknown option, and the DataError of what does not fit in the files.
    """
    folder = located(path)
    name, why = (format, "named by the caller") if format else detect(folder, **options)
    member: Format = find(FAMILY, name)
    known = _options(name)
    for option in options:
        if option not in known:
            raise OptionError(f"option {option!r} of {name}", expected="one that it has", hint=nearest(option, [*known, *GENERAL]))
    if fold is not None and splits is None:
        raise OptionError("fold", expected="a file of folds too", received=fold, hint="Name it: splits=FILE.")
    opened = member.open(folder, **options)
    divided = opened if splits is None else read_splits(Path(splits)).apply(opened, fold=fold, waive=waive)
    told = {"splits": splits and str(splits), "fold": fold, "waive": list(waive)}
    divided.options = options | ({} if splits is None else {name: value for name, value in told.items() if value not in (None, [])})
    dataset = divided.held_back(val=val, test=test, seed=seed)
    dataset.cache = LabelCache(cache_bytes)
    dataset.why = why
    return dataset


def detect(folder: Path, **options: Any) -> tuple[str, str]:
    """The name of the one format a folder looks like, among those that have the `options` if one can, and why; DatasetNotFound
    for none, OptionError for several.
    """
    reasons = {name: reason for name in members(FAMILY) if (reason := find(FAMILY, name).detect(folder, **options))}
    reasons = {name: reason for name, reason in reasons.items() if set(options) <= set(_options(name))} or reasons
    if len(reasons) > 1:  # those that know more come first
        reasons = {name: reason for name, reason in reasons.items() if not find(FAMILY, name).general} or reasons
    if len(reasons) > 1:
        claims = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise OptionError(str(folder), expected="one format", received=claims, hint=f"Say which: format={next(iter(reasons))!r}.")
    if not reasons:
        raise DatasetNotFound(
            str(folder),
            expected=f"images with labels, such as {find(FAMILY, 'mask_folder').looks}",
            received=_inside(folder),
            hint=f"docs/data.md shows the {len(members(FAMILY))} layouts that are known; folders of other names can be told: "
            "images='...', masks='...' (--data-args images=... masks=...).",
        )
    return next(iter(reasons.items()))


def _inside(folder: Path) -> str:
    """What an unknown folder holds, in a few words."""
    inside = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    pictures = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in walked(folder))
    return f"{pictures} picture{'s' * (pictures != 1)}, no known labels ({few(inside, 4)})" if inside else "an empty folder"


def _options(name: str) -> list[str]:
    """The options of a format's `open`."""
    return [option for option in inspect.signature(find(FAMILY, name).open).parameters if option != "path"]


def located(path: str | os.PathLike[str]) -> Path:
    """The folder itself, or the one of that name under INTARSIA_DATA. Raises DatasetNotFound for neither."""
    path = Path(path).expanduser()
    shelf = os.environ.get("INTARSIA_DATA", "")
    if not path.exists() and shelf and not path.is_absolute() and (Path(shelf) / path).is_dir():
        return Path(shelf) / path
    if path.is_dir():
        return path
    if path.exists():
        raise DatasetNotFound(str(path), expected="a folder", received="a file", hint=f"Open its folder: {path.parent}.")
    near = sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir()) if path.parent.is_dir() else []
    hints = [nearest(path.name, near)] if near else []
    if not shelf:
        hints.append("A bare name is also looked for in the folder that INTARSIA_DATA names.")
    hints.append("`intarsia demo` makes a data set to begin with.")
    raise DatasetNotFound(str(path), expected="a folder with images", received="no such folder", hint=" ".join(hints))
