"""Weights of rare classes, and their chances in crops, from the pixels of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.data.dataset import Dataset

__all__ = ["BETA", "class_weights", "pixel_counts", "rare_chances"]

BETA = 0.999999
"""Of the effective number: classes of fewer than a million pixels gain weight."""


def pixel_counts(data: Dataset, channels: int, *, at_most: int = 1000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(C,) the pixels of each channel, and (C,) those of the images it occurs in, over up to `at_most` evenly spaced images;
    the channel after the classes, if there is one, is nothing.
    """
    counts, homes = np.zeros(channels), np.zeros(channels)
    for index in np.unique(np.linspace(0, len(data) - 1, min(len(data), at_most)).astype(int)):
        segments = data.segments(int(index))
        if segments is not None:
            labels = segments.semantic(len(data.classes))
            here = np.bincount(labels[labels >= 0].ravel(), minlength=channels)[:channels].astype(np.float64)
            counts += here
            homes += (here > 0) * here.sum()
    return counts, homes


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
