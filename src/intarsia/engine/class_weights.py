"""Weights for rare classes, from the pixels of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from intarsia.data.dataset import Dataset

__all__ = ["class_weights", "pixel_counts"]


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


def class_weights(kind: str, counts: NDArray[Any], homes: NDArray[Any]) -> NDArray[np.float32] | None:
    """(C,) weights with mean 1 over the classes present; absent classes get 0, `none` gives None.

    `inverse` is 1 / share; `median_frequency` is median(f) / f with f the class's pixels over those of the images it occurs in
    (Eigen and Fergus, arXiv 1411.4734; SegNet), `sqrt_median_frequency` its square root, which spoils common classes less.

    >>> class_weights("inverse", np.array([3.0, 1.0, 0.0]), np.array([4.0, 4.0, 0.0])).tolist()
    [0.5, 1.5, 0.0]
    """
    if kind == "none":
        return None
    present = counts > 0
    if not present.any():
        return None
    frequency = np.where(present, counts / np.maximum(counts.sum() if kind == "inverse" else homes, 1), 1)
    weights = np.median(frequency[present]) / frequency
    if kind == "sqrt_median_frequency":
        weights = np.sqrt(weights)
    weights = np.where(present, weights, 0)
    scaled: NDArray[np.float32] = (weights / weights[present].mean()).astype(np.float32)
    return scaled
