"""The run folder: everything a training leaves behind, by name.

config.toml                the options, resolved          run.json      data, its hash, versions, command, time
recipe.json                how the network is made        val/          scores and pictures of the best weights
metrics.csv                a row per epoch                metrics.json  the best evaluation, with intervals
weights/best.safetensors   by mean IoU on the val split   weights/last.safetensors
state.safetensors          what a resume needs            *.png         pictures
"""

from __future__ import annotations

import itertools
import json
import platform
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intarsia.core import ClassSet
from intarsia.core.errors import CheckpointError, DataError, OptionError
from intarsia.core.files import whole_file, write_json
from intarsia.data.open import open_dataset
from intarsia.engine.options import TrainOptions
from intarsia.engine.settings import from_toml, to_toml

if TYPE_CHECKING:
    from intarsia.data.dataset import Dataset
    from intarsia.engine.recipe import Recipe

__all__ = ["Run", "free_folder", "new_run", "run_of"]

RECORDED = ("intarsia", "torch", "torchvision", "timm", "accelerate", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Run:
    """A training and what came of it; `Run(folder)` opens a finished or broken one."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / "run.json").is_file():
            raise CheckpointError(
                str(self.folder),
                expected="a run folder with config.toml and run.json",
                received="none there",
                hint="`intarsia train` makes one.",
            )

    @property
    def best(self) -> Path:
        """The weights with the best mean IoU on the val split."""
        return self.folder / "weights" / "best.safetensors"

    @property
    def last(self) -> Path:
        """The weights after the last epoch."""
        return self.folder / "weights" / "last.safetensors"

    @property
    def state(self) -> Path:
        """What a resume needs: weights, optimiser, random state and progress in one file."""
        return self.folder / "state.safetensors"

    @cached_property
    def options(self) -> TrainOptions:
        """The options it was started with."""
        return from_toml(TrainOptions, self.folder / "config.toml")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of run.json: data, its hash, versions, command, time."""
        facts: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return facts

    @property
    def done(self) -> bool:
        """Whether it has come to its end, pictures and all."""
        return (self.folder / "val" / "scores.json").is_file()

    @property
    def recipe(self) -> Recipe:
        """How its network is made."""
        from intarsia.engine.recipe import Recipe

        return Recipe.from_dict(json.loads((self.folder / "recipe.json").read_text()))

    def open_data(self) -> Dataset:
        """The data it was trained on; DataError where it is gone or has changed since."""
        if self.facts["data"] is None:
            raise DataError(
                str(self.folder), expected="data in files", received="a run on data in memory", hint="Train on it again instead."
            )
        options = dict(self.facts["options"])
        if isinstance(options.get("classes"), dict):
            options["classes"] = ClassSet.from_dict(options["classes"])
        data = open_dataset(self.facts["data"], format=self.facts["format"], **options)
        if (found := data.fingerprint()) != self.facts["data_hash"]:
            raise DataError(
                str(data.root),
                expected=f"the data of the run, hash {self.facts['data_hash']}",
                received=f"hash {found}: files were added, removed or changed",
                hint="Put them back, or start a new training.",
            )
        return data

    @property
    def metrics(self) -> dict[str, Any]:
        """The best evaluation on the val split, such as `run.metrics["mean_iou"]`; empty before the first."""
        path = self.folder / "metrics.json"
        return json.loads(path.read_text()) if path.is_file() else {}


def run_of(model: object) -> Run:
    """The run that a run folder, or a checkpoint within one, belongs to; OptionError where there is none."""
    if isinstance(model, Run):
        return model
    if isinstance(model, str | Path):
        for folder in (Path(model), *Path(model).resolve().parents[:2]):
            if (folder / "run.json").is_file():
                return Run(folder)
        if not Path(model).exists():
            raise OptionError(str(model), expected="a run folder, or a checkpoint within one", received="no such file or folder")
    raise OptionError("data", expected="data to evaluate on, for a network that lies in no run folder", received="none")


def free_folder(folder: Path) -> Path:
    """The first of NAME, NAME2, NAME3 ... that is not there yet."""
    numbers = itertools.count(2)
    free = folder
    while free.exists():
        free = folder.with_name(f"{folder.name}{next(numbers)}")
    return free


def new_run(data: Dataset, options: TrainOptions, recipe: Recipe) -> Run:
    """A fresh folder: `options.out`, which must not hold a run yet, or the first free of runs/NAME, runs/NAME2 ..."""
    options = replace(options, model=recipe.model)
    if options.start_from is not None and (named := Path(options.start_from)).exists():
        options = replace(options, start_from=str(named.resolve()))
    if options.out is not None:
        folder = Path(options.out)
        if (folder / "run.json").exists():
            raise OptionError(
                "--out",
                expected="a folder without a run",
                received=str(folder),
                hint=f"`intarsia resume {folder}` goes on with it.",
            )
    else:
        folder = free_folder(Path("runs") / (options.name or f"{data.name}-{recipe.model.rpartition(':')[2]}"))
    folder.mkdir(parents=True, exist_ok=True)
    if options.weights not in ("none", "timm"):
        options = replace(options, weights=str(Path(options.weights).resolve()))
    write_json(folder / "recipe.json", recipe.to_dict())
    with whole_file(folder / "config.toml") as draft:
        draft.write_text(to_toml(options), encoding="utf-8")
    write_json(folder / "run.json", _facts(data))
    return Run(folder)


def _facts(data: Dataset) -> dict[str, Any]:
    """Where the data is and what it is, and what ran on what."""
    versions = {}
    for package in RECORDED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "data": None if data.root is None else str(data.root.resolve()),
        "format": data.format,
        "options": {name: _plain(value) for name, value in data.options.items()},
        "data_hash": data.fingerprint(),
        "command": " ".join(sys.argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": versions,
    }


def _plain(value: Any) -> Any:
    """What an option of a format is in JSON."""
    return value.to_dict() if isinstance(value, ClassSet) else str(value) if isinstance(value, Path) else value
