"""Weights of rare classes, and their chances in crops, from the pixels of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.data.dataset import evenly_spaced
from intarsia.ops.trained import trained_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.core import ClassSet, Segments
    from intarsia.data.dataset import Dataset
    from intarsia.ops.trained import Which

__all__ = ["BETA", "class_weights", "pixel_counts", "rare_chances"]

BETA = 0.999999
"""Of the effective number: classes of fewer than a million pixels gain weight."""


def pixel_counts(
    data: Dataset, channels: int, *, which: Which = "classes", enough: int = 1000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(C,) the pixels of each channel, and (C,) the labelled ones of the images it occurs in; the channel after the classes, if
    there is one, is nothing. Of segments only those of `which` count, as in training, and groups may overlap.

    `enough` evenly spaced images tell; the others are read only as long as a class has not been met.
    """
    counts, homes = np.zeros(channels), np.zeros(channels)
    first = evenly_spaced(len(data), enough)
    for place, index in enumerate([*first, *np.setdiff1d(np.arange(len(data)), first)]):
        if place >= len(first) and counts[: len(data.classes)].all():
            break
        segments = data.segments(int(index))
        if segments is not None:
            here, labelled = _counted(segments, data.classes, channels, which)
            counts += here
            homes += (here > 0) * labelled
    return counts, homes


def _counted(segments: Segments, classes: ClassSet, channels: int, which: Which) -> tuple[NDArray[np.float64], float]:
    """(C,) the pixels of each channel in one image, and the number of all that are labelled."""
    merged = trained_segments(trained_segments(segments, classes, which), classes, "classes")
    counts = np.zeros(channels)
    counts[: len(classes)] = np.bincount(merged.classes, weights=merged.areas, minlength=len(classes))
    known = merged.ids[0] >= 0
    if channels > len(classes):
        counts[-1] = (known & (merged.ids[0] == 0)).sum()
        return counts, float(counts.sum())
    return counts, float((merged.ids > 0).any(axis=0).sum() if len(classes.groups) == 1 else known.sum())


def class_weights(kind: str, counts: NDArray[Any], homes: NDArray[Any], *, beta: float = BETA) -> NDArray[np.float32] | None:
    """(C,) weights with mean 1 over the classes present; absent classes get 0, `none` gives None.

    `inverse` is 1 / share; `median_frequency` is median(f) / f with f the class's pixels over those of the images it occurs in
    (Eigen and Fergus, arXiv 1411.4734; SegNet), `sqrt_median_frequency` its square root, which spoils common classes less.
    `effective_number` is (1 - beta) / (1 - beta^n) with n the class's pixels (Cui et al. 2019, arXiv 1901.05555, equation 2):
    between none, for beta 0, and inverse, for beta towards 1; classes of far more than 1 / (1 - beta) pixels weigh alike.

    >>> class_weights("inverse", np.array([3.0, 1.0, 0.0]), np.array([4.0, 4.0, 0.0])).tolist()
    [0.5, 1.5, 0.0]
    >>> class_weights("effective_number", np.array([2.0, 1.0]), np.array([3.0, 3.0]), beta=0.5).tolist()  # 2 / 3 and 1
    [0.800000011920929, 1.2000000476837158]
    """
    if kind == "none":
        return None
    present = counts > 0
    if not present.any():
        return None
    if kind == "effective_number":
        weights = 1 / -np.expm1(np.where(present, counts, 1) * np.log(beta)) if beta > 0 else np.ones(len(counts))
    else:
        frequency = np.where(present, counts / np.maximum(counts.sum() if kind == "inverse" else homes, 1), 1)
        weights = np.median(frequency[present]) / frequency
    if kind == "sqrt_median_frequency":
        weights = np.sqrt(weights)
    weights = np.where(present, weights, 0)
    scaled: NDArray[np.float32] = (weights / weights[present].mean()).astype(np.float32)
    return scaled


def rare_chances(counts: NDArray[Any], classes: int) -> tuple[float, ...]:
    """The chance of each of the classes to have a crop drawn around it: the inverse of its pixels, relative to the rarest's.

    >>> rare_chances(np.array([100.0, 25.0, 0.0, 5.0]), 3)
    (0.25, 1.0, 0.0)
    """
    counts = counts[:classes]
    chances = np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)
    return tuple((chances / chances.max()).tolist()) if chances.any() else ()
