"""The plan: what to train and how, read from the data and the machine, each choice with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DataError
from intarsia.data.dataset import TOGETHER
from intarsia.data.open import open_dataset
from intarsia.engine.data_facts import DataFacts, data_facts
from intarsia.engine.machine import Machine, machine
from intarsia.engine.options import TrainOptions
from intarsia.engine.planned_network import choose_balance, choose_network, choose_task
from intarsia.engine.settings import to_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from intarsia.data.dataset import Dataset

__all__ = ["Choice", "Machine", "Plan", "machine", "make_plan"]

LARGE = 640
"""Pixels each way that are trained whole; of larger images pieces are."""
COARSE = 64
"""What sizes are rounded to where images differ: a multiple of the coarsest stride."""
STEPS = {"cpu": 750, "cuda": 8000}
"""Steps that this kind of device is asked for: each core of a CPU, of 2 to 8, or a GPU."""
ORIENTED = 0.05
"""The spread of the heights of classes from which on up and down mean something."""
TOLD = 10
"""Files from which on that spread tells: what lies anywhere has its mean height within 0.3 / sqrt(10) of the middle by then."""
PLANES = ("dicom", "nifti", "tiff_stack")
"""Formats of volumes that can be opened as planes."""
HELD_BACK = 0.2
"""The share of the images that chooses the best weights, where there is no val split."""
FEW, PIECES = 8, (16, 36)
"""Rasters below which pieces of them are trained and held back, and how many pieces there are to be."""


@dataclass(frozen=True)
class Choice:
    """One option, what it is set to, and why."""

    option: str
    value: Any
    why: str


@dataclass(frozen=True)
class Plan:
    """All choices, in the order in which they were made."""

    data: Dataset
    """As planned: with images held back, and rasters cut into pieces, where that was chosen."""
    facts: DataFacts
    machine: Machine
    choices: tuple[Choice, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """The options that were chosen."""
        return {choice.option: choice.value for choice in self.choices}

    def options(self, given: Mapping[str, Any] | None = None) -> TrainOptions:
        """The training, with the options of the data that were `given`."""
        given = dict(given or {})
        held = {"data_args": self.settings.get("data_args", {}) | given.get("data_args", {})}
        return TrainOptions(**self.settings | given | held)

    def to_toml(self) -> str:
        """A file for `intarsia train --config`, the reason above each option."""
        return to_toml(self.options(), {choice.option: choice.why for choice in self.choices})

    def __str__(self) -> str:
        facts = self.facts
        height, width = facts.size
        sizes = f"{width}x{height}" if facts.one_size else f"about {width}x{height}"
        images, channels = (
            f"{n} {word}{'s' * (n != 1)}" for n, word in ((facts.images, "training image"), (facts.channels, "channel"))
        )
        head = f"{images}, {sizes}, {channels} of {facts.dtype}"
        own = "from 0..255" if facts.dtype == "uint8" else f"by its own percentiles 0.5 and 99.5, for {facts.dtype} has no range"
        shares = ", ".join(f"{name} {share:.1%}" for name, share in list(facts.shares.items())[:6])
        width = max(len(choice.option) for choice in self.choices)
        rows = [f"{choice.option:<{width}}  {_shown(choice.value)}\n{'':<{width}}    {choice.why}" for choice in self.choices]
        return "\n".join([head, f"values: of each image scaled to 0..1 {own}", f"pixels: {shares}", "", *rows])


def make_plan(data: Dataset, on: Machine | None = None, *, split: str = "train", task: str | None = None) -> Plan:
    """The plan for a data set; without splits a fifth of the images is held back for validation.

    `on` is this machine and `task` what the labels hold, where they are left out.
    """
    on = on or machine()
    choices: list[Choice] = []

    def choose(option: str, value: Any, why: str) -> None:
        choices.append(Choice(option, value, why))

    whole = _cut(choose, data)
    divided = whole if "val" in whole.splits else whole.held_back(val=HELD_BACK)
    facts = data_facts(divided.split(split))
    if not facts.shares:
        raise DataError(data.where, expected="labelled pixels to plan by", received="none", hint="`intarsia doctor` says more.")
    task = choose_task(choose, facts, task)
    choose_network(choose, on, facts, task)
    height, width = _size(choose, whole, facts)
    batch = _batch(choose, on, height * width)
    _augmentation(choose, facts)
    if task == "semantic":
        choose_balance(choose, facts)
    _schedule(choose, facts, on, batch, task)
    return Plan(divided, facts, on, tuple(choices))


def _cut(choose: Any, data: Dataset) -> Dataset:
    """The data as networks take it: planes of volumes, and pieces where there are few rasters; without val it is to get one."""
    more: dict[str, Any] = {}
    whys = []
    first = data[0] if data.format in PLANES and len(data) else None
    if first is not None and len(first.size) == 3:
        more["slices"] = True
        apart = f", {first.spacing[0]:.3g} mm apart" if first.spacing else ""
        whys.append(f"networks see planes, here {first.size[0]} of a volume{apart}")
    few = data.format == "geotiff" and len(data) < FEW and "tile" not in data.options and "val" not in data.splits
    if few:
        more["tile"] = _tile([data[index].size for index in range(len(data))])
    if more and data.root:
        data = open_dataset(data.root, format=data.format, **data.options | more)
    if few:
        whys.append(f"too few rasters to hold some back, so {len(data)} pieces of them")
    if "val" not in data.splits:
        free = sum(record.split in ("", "train") for record in data.records)
        if free < 2:
            raise DataError(data.where, expected="2 images or more, one of them to be held back", received=free)
        more["val"] = HELD_BACK
        whys.append("a fifth chooses the best weights, for the data has no val split")
        if "slices" in more and len({record.image for record in data.records}) < TOGETHER:
            whys.append("neighbouring planes in the middle, which yet resemble those beside them: other volumes would tell more")
    if more:
        choose("data_args", more, "; ".join(whys))
    return data


def _tile(sizes: Sequence[tuple[int, ...]]) -> int:
    """The side of square pieces that leaves the last of each row and column the least too small."""

    def short(side: int) -> float:
        return max(-extent % side / side for size in sizes for extent in size)

    def pieces(side: int) -> int:
        return sum(-(-height // side) * -(-width // side) for height, width in sizes)

    sides = [side for side in range(32, LARGE) if PIECES[0] <= pieces(side) <= PIECES[1]]
    return min(sides, key=lambda side: (short(side), -side), default=LARGE)


def _size(choose: Any, data: Dataset, facts: DataFacts) -> tuple[int, int]:
    """What is trained at a time, height and width."""
    height, width = facts.size
    large = facts.length
    if max(height, width) > LARGE and large > LARGE / 2:  # pieces would show parts of things
        shrink = max(LARGE / 2 / large, LARGE / max(height, width))
        height, width = (max(COARSE, round(extent * shrink / COARSE) * COARSE) for extent in (height, width))
        choose("size", (height, width), f"half of all things are more than {large:.0f} pixels long: smaller, they are seen whole")
    elif "tile" in data.options and not facts.one_size:
        height = width = data.options["tile"]
        choose("size", (height, width), "that of a whole piece")
    elif not facts.one_size:
        height, width = (max(COARSE, round(extent / COARSE) * COARSE) for extent in (height, width))
        choose("size", (height, width), f"images differ in size; this is the median, in steps of {COARSE}")
    if max(height, width) > LARGE:
        height, width = (min(extent, LARGE // 2 * 2) for extent in (height, width))
        choose("crop", (height, width), "images are large: the network sees pieces of them, at full detail")
    return height, width


def _batch(choose: Any, on: Machine, pixels: int) -> int:
    fits = int(0.5 * on.memory * 2**30 / (pixels * 3000))  # about 3 kB a pixel for a U-Net on its way back
    batch = max(1, min(fits, 4 if on.device == "cpu" else 16))
    choose("batch_size", batch, f"fits into {on.memory:.0f} GiB" if batch == fits else "steps often, and is enough for the norms")
    if batch < 4:
        choose("accumulate", -(-4 // batch), "so that a step still sees four images")
    return batch


def _augmentation(choose: Any, facts: DataFacts) -> None:
    photographs = facts.channels == 3 and facts.dtype == "uint8"
    level = facts.spread < ORIENTED
    if facts.from_above or (level and not photographs and facts.files >= TOLD):
        same = f"classes lie at the same heights in {facts.files} files (spread {facts.spread:.2f})"
        seen = "the images know their place on Earth" if facts.from_above else same
        choose("rotation", 180.0, f"{seen}: up and down mean nothing here")
        choose("scale", (0.8, 1.25), "things seen from above or through a microscope hardly change in size")
    else:
        own = f"classes lie at heights of their own (spread {facts.spread:.2f})"
        few = f"{facts.files} file{'s' * (facts.files != 1)} cannot tell whether up and down mean something"
        why = own if not level else "these may be photographs, which have an up and a down" if photographs else few
        choose("scale", (0.75, 2.0), f"{why}; things come near and go far")


def _schedule(choose: Any, facts: DataFacts, on: Machine, batch: int, task: str) -> None:
    images = max(1, facts.images)
    steps = STEPS[on.device] * (min(max(on.cores, 2), 8) if on.device == "cpu" else 1)
    epochs = max(10, min(400, round(steps * batch / images)))
    choose("epochs", epochs, f"about {epochs * images // batch} steps" + f" on {on.cores} cores" * (on.device == "cpu"))
    choose("lr", 1e-3, "the peak of a one-cycle; `intarsia lr-find` can tell better")
    choose("weight_decay", 0.02, "against learning the images by heart")
    choose("ema", 0.99 if epochs * images // batch < 3000 else 0.999, "averaged weights jitter less at the end")
    if min(facts.size) >= 256 and task == "semantic":
        choose("half_size", 0.4, "the first part at half size takes a quarter of the time")
    every = max(1, epochs // 20)
    choose("evaluate_every", every, f"{-(-epochs // every)} evaluations on the way")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, tuple):
        return ("x" if all(isinstance(one, int) for one in value) else " ").join(map(str, value))
    return str(value)
