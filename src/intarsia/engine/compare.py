"""Two evaluations of the same images against each other: the difference of every score, with its interval. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import DataError, OptionError
from intarsia.engine.saved import COUNTS, read_counts
from intarsia.engine.spelling import spelled
from intarsia.ops.bootstrap import bootstrap_intervals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from intarsia.core import ClassSet
    from intarsia.engine.measures import Measures

__all__ = ["Comparison", "Difference", "compare_measures", "compare_saved", "is_saved", "same_classes"]


@dataclass(frozen=True)
class Difference:
    """One score of A and of B, and B - A with its 95 % interval."""

    a: float
    b: float
    low: float
    high: float
    best: float | None
    """What a perfect answer scores: 1, or 0 where less is better; None where neither is."""

    @property
    def value(self) -> float:
        """B - A."""
        return self.b - self.a

    @property
    def winner(self) -> str:
        """ "A" or "B" where the interval holds no 0, else nothing."""
        if self.best is None or not (self.low > 0 or self.high < 0):
            return ""
        return "B" if (self.low > 0) == (self.best > 0) else "A"

    @property
    def digits(self) -> int:
        """Decimals to print: four of a share, two of a distance."""
        return 2 if max(abs(self.a), abs(self.b)) > 1 else 4

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where a score is not defined."""
        values = {"a": self.a, "b": self.b, "difference": self.value, "low": self.low, "high": self.high}
        return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


@dataclass(frozen=True)
class Comparison:
    """B against A on the same images: a paired bootstrap, in which both are scored on the same draws of images."""

    a: str
    b: str
    """What was compared: runs or folders."""
    images: int
    names: tuple[str, ...]
    """The classes."""
    scores: dict[str, dict[str, Difference]]
    """By measure and score, such as `comparison.scores["semantic"]["mean_iou"]`."""
    by_class: dict[str, dict[str, tuple[Difference, ...]]]
    """By measure and score, (C,), such as `comparison.by_class["semantic"]["iou"]`."""

    @property
    def verdicts(self) -> list[str]:
        """Of each measure a plain line on its headline, its first score; for semantic that is mean IoU."""
        return [_verdict(*next(iter(scores.items())), self.images) for scores in self.scores.values()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        by_class = {
            measure: {name: dict(zip(self.names, (one.to_dict() for one in row), strict=True)) for name, row in rows.items()}
            for measure, rows in self.by_class.items()
        }
        return {
            "a": self.a,
            "b": self.b,
            "images": self.images,
            "verdicts": self.verdicts,
            **{
                measure: {name: one.to_dict() for name, one in scores.items()} | by_class[measure]
                for measure, scores in self.scores.items()
            },
        }

    def __str__(self) -> str:
        about = f"{self.images} images, the same for both; in brackets the 95 % interval of B - A"
        lines = [f"A  {self.a}", f"B  {self.b}", about if self.images > 1 else "1 image, the same for both: no interval"]
        for measure, scores in self.scores.items():
            lines += ["", *_table(measure, scores)]
            for name, row in list(self.by_class[measure].items())[:1]:
                lines += ["", *_table(f"{spelled(name)} of class", dict(zip(self.names, row, strict=True)))]
        return "\n".join((*lines, "", *self.verdicts))


def compare_saved(a: Path, b: Path) -> Comparison:
    """Two folders that `intarsia evaluate --out` has written, by the measures that both hold.

    Raises DataError where they are of different images, another truth or other classes.
    """
    (first, _), (second, _) = read_counts(a), read_counts(b)
    return compare_measures(first, second, str(a), str(b))


def is_saved(folder: object) -> bool:
    """Whether it is a folder that `intarsia evaluate --out` has written."""
    return isinstance(folder, str | Path) and (Path(folder) / COUNTS).is_file()


def compare_measures(
    a: Measures, b: Measures, name_a: str = "A", name_b: str = "B", *, rounds: int = 1000, seed: int = 0
) -> Comparison:
    """The difference of every score of the measures that both hold; classes are matched by name.

    Each draw of images is scored for both, so what makes an image hard for both cancels. Raises DataError where the images, their
    truth or the classes differ, and OptionError where a measure was asked with other options.
    """
    same_classes(a.classes, b.classes)
    _same_images(a, b)
    scores: dict[str, dict[str, Difference]] = {}
    by_class: dict[str, dict[str, tuple[Difference, ...]]] = {}
    for name in (measure for measure in a.metrics if measure in b.metrics):
        first, second = a.metrics[name], b.metrics[name].ordered_as(a.classes)
        if first.options != second.options:
            raise OptionError(f"measure {name!r}", expected=f"the same options in both: {first.options}", received=second.options)
        found = _differences(first, second, rounds, seed)
        scores[name] = {score: row[0] for score, row in found.items() if score not in first.by_class}
        by_class[name] = {score: row for score, row in found.items() if score in first.by_class}
        scores[name] = {first.headline: scores[name][first.headline], **scores[name]}  # what the verdict is on comes first
    return Comparison(name_a, name_b, len(set(a.keys)), a.classes.names, scores, by_class)


def _differences(first: Any, second: Any, rounds: int, seed: int) -> dict[str, tuple[Difference, ...]]:
    """For each score the differences, one or (C,), of two metrics over the same images."""
    images, others = first.images(), second.images()
    keys = sorted(images)
    counts, other_counts = ([held[key] for key in keys] for held in (images, others))

    def both(weights: NDArray[np.float64]) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """The scores of both, (R,) or (R, C), of the same draws of images."""
        return first.weighted(counts, weights), second.weighted(other_counts, weights)

    def gap(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        one, other = both(weights)
        return {name: other[name] - one[name] for name in one}

    value_a, value_b = both(np.ones((1, len(keys))))
    ends = bootstrap_intervals(len(keys), gap, rounds=rounds, seed=seed)
    result = {}
    for name in value_a:
        best = first.best(name)
        values = np.stack([value_a[name][0], value_b[name][0], *ends[name].T], axis=-1)  # (4,) or (C, 4)
        rows = values.reshape(-1, 4).tolist()
        result[name] = tuple(Difference(one, other, low, high, best) for one, other, low, high in rows)
    return result


def same_classes(a: ClassSet, b: ClassSet) -> None:
    """Raises DataError unless both have classes of the same names and groups, in whatever order."""
    if set(a.names) != set(b.names):
        only = [sorted(set(one.names) - set(other.names)) for one, other in ((a, b), (b, a))]
        raise DataError("compare", expected="the same classes in both", received=f"only in A {only[0]}, only in B {only[1]}")
    if {frozenset(group) for group in a.groups} != {frozenset(group) for group in b.groups}:
        raise DataError("compare", expected=f"the same groups of classes, {a.groups}", received=b.groups)


def _same_images(a: Measures, b: Measures) -> None:
    """Raises DataError unless both hold the same images with the same truth."""
    if a.task != b.task:
        raise DataError("compare", expected=f"one task, {a.task}", received=b.task)
    first, second = a.metrics[a.task], b.metrics[b.task].ordered_as(a.classes)
    images, others = first.images(), second.images()
    for one, other, place in ((images, others, "A"), (others, images, "B")):
        if missing := sorted(set(one) - set(other)):
            raise DataError(
                "compare",
                expected="the same images in both",
                received=f"{len(missing)} only in {place}, such as {missing[0]!r}",
                hint="Evaluate both on the same split.",
            )
    changed = [key for key in images if not np.array_equal(first.truth(images[key]), second.truth(others[key]))]
    if changed:
        received = f"{len(changed)} images whose truth differs, such as {changed[0]!r}"
        raise DataError("compare", expected="the same truth in both", received=received)


def _verdict(name: str, one: Difference, images: int) -> str:
    """B is better: mean IoU +0.0123 [0.0051, 0.0198]. What could not be tested is not called a difference, nor none."""
    digits = one.digits
    if np.isnan(one.value):
        return f"not defined: {spelled(name)}"
    if images == 1:
        return f"one image: no interval of {spelled(name)} {one.value:+.{digits}f}"
    said = f"{one.winner} is better" if one.winner else "no difference is shown"
    return f"{said}: {spelled(name)} {one.value:+.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _table(title: str, rows: Mapping[str, Difference]) -> list[str]:
    """Name, A, B, difference, interval, and who is better where that is shown."""
    cells = [[title, "A", "B", "B - A", "", ""]]
    for name, one in rows.items():
        digits = one.digits
        interval = f"[{one.low:+.{digits}f}, {one.high:+.{digits}f}]".replace("+nan", "-").replace("nan", "-")
        numbers = (f"{one.a:.{digits}f}", f"{one.b:.{digits}f}", f"{one.value:+.{digits}f}")
        plain = ("-" if "nan" in number else number for number in numbers)
        cells.append([name, *plain, interval, f"{one.winner} is better" if one.winner else ""])
    widths = [max(len(row[column]) for row in cells) for column in range(6)]
    signs = "<>>>><"  # to the left or the right of the column
    return ["  ".join(map("{:{}{}}".format, row, signs, widths)).rstrip() for row in cells]
