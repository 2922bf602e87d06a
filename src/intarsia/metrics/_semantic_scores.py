"""The scores of a semantic segmentation, as a record that prints, and goes into JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PER_CLASS", "RATIOS", "SCALARS", "SemanticScores", "cell", "plain"]

SCALARS = (
    "pixel_accuracy",
    "mean_pixel_accuracy",
    "mean_iou",
    "frequency_weighted_iou",
    "mean_dice",
    "micro_iou",
    "micro_dice",
    "image_mean_iou",
    "image_mean_dice",
)
RATIOS = ("iou", "dice", "precision", "recall")
"""The per-class scores that intervals are drawn for."""
PER_CLASS = ("share", *RATIOS)


@dataclass(frozen=True, eq=False)
class SemanticScores:
    """What `Semantic.compute` gives; all values lie in 0..1, and nan stands where a score is not defined."""

    names: tuple[str, ...]
    """The C classes; every per-class array below is in this order."""
    images: int
    """How many were scored."""
    pixel_accuracy: float
    mean_pixel_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    mean_dice: float
    micro_iou: float
    micro_dice: float
    image_mean_iou: float
    image_mean_dice: float
    share: NDArray[np.float64]
    """(C,) the part of the truth's pixels that are the class."""
    iou: NDArray[np.float64]
    dice: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    confusion: NDArray[np.int64]
    """(C+1, C+2) pixels: rows are the truth (classes, nothing), columns the prediction (classes, nothing, void)."""
    intervals: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """95 % bootstrap intervals over images: (2,) low and high for each scalar, (C, 2) for each of iou, dice, precision
    and recall; empty where none were drawn."""
    measures: dict[str, Any] = field(default_factory=dict)
    """The scores of the further measures that were asked for, by name, such as `scores.measures["boundary"]`."""

    def __getitem__(self, name: str) -> Any:
        """A score by its name, a number or (C,)."""
        if name not in (*SCALARS, *PER_CLASS):
            raise KeyError(name)
        return getattr(self, name)

    def unpredicted(self) -> list[str]:
        """The classes that the truth holds and no answer."""
        table = zip(self.names, self.share, self.precision, strict=True)
        return [name for name, share, precision in table if share > 0 and np.isnan(precision)]

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes found neither in the truth nor in the prediction: their scores are nan and no mean holds them."""
        return tuple(name for name, iou in zip(self.names, self.iou, strict=True) if np.isnan(iou))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, per-class ones by name, None where a score is not defined."""

        def by_name(values: NDArray[Any]) -> dict[str, Any]:
            return dict(zip(self.names, plain(values), strict=True))

        return {
            "images": self.images,
            **{name: plain(getattr(self, name)) for name in SCALARS},
            **{name: by_name(getattr(self, name)) for name in PER_CLASS},
            "absent": list(self.absent),
            "intervals": {name: by_name(ends) if name in RATIOS else plain(ends) for name, ends in self.intervals.items()},
            "confusion": self.confusion.tolist(),
            **{name: scores.to_dict() for name, scores in self.measures.items()},
        }

    def __str__(self) -> str:
        first = f"{self.images} image{'s' * (self.images != 1)}, {len(self.names)} classes; values are 0..1, void is not scored"
        lines = [first + ("; in brackets the 95 % interval over images" if self.intervals else "")]
        lines += [f"{name:<22}  {cell(getattr(self, name))}{brackets(self.intervals.get(name))}" for name in SCALARS]
        width = max(len("class"), *map(len, self.names))
        ends = self.intervals.get("iou", [None] * len(self.names))
        gap = " " * len(brackets(ends[0]))
        lines += ["", f"{'class':<{width}}  share   iou   {gap}  dice    prec.   recall"]
        for row, name in enumerate(self.names):
            cells = [cell(getattr(self, column)[row]) for column in PER_CLASS]
            cells[1] += brackets(ends[row])
            lines.append(f"{name:<{width}}  {'  '.join(cells)}".rstrip())
        if self.absent:
            lines += ["", f"absent from truth and prediction: {', '.join(self.absent)}"]
        return "\n\n".join(("\n".join(lines), *map(str, self.measures.values())))


def plain(values: Any) -> Any:
    """Lists, whole numbers and floats, None for nan."""
    if np.ndim(values):
        return [plain(value) for value in values]
    if isinstance(values, int | np.integer):
        return int(values)
    return None if np.isnan(values) else float(values)


def cell(value: float, digits: int = 4) -> str:
    """So many decimals, a dash for nan, at least six characters."""
    return "  -   " if np.isnan(value) else f"{value:6.{digits}f}"


def brackets(ends: Any) -> str:
    """An interval behind its value, nothing where there is none."""
    return "" if ends is None else f" [{cell(ends[0])}, {cell(ends[1])}]"
