"""The depth of a volume, which every warp treats apart from rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["depth_apart", "depth_weights"]


def depth_apart(matrix: NDArray[np.float64]) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """Scale and shift of the depth axis, and the matrix (3, 3) of the other two."""
    if matrix[0, 1:3].any() or matrix[1:3, 0].any():
        raise OptionError("warp of a volume", expected="depth apart from rows and columns", received=matrix[:3].tolist())
    return (float(matrix[0, 0]), float(matrix[0, 3])), matrix[1:, 1:]


def depth_weights(depth: tuple[float, float], source: int, size: int) -> NDArray[np.float64]:
    """(D', D) what each source slice gives to each output slice: a triangle as wide as the step, so that shrinking averages."""
    scale, shift = depth
    centres = scale * (np.arange(size) + 0.5) + shift
    reach = max(abs(scale), 1.0)
    taps = np.arange(source) + 0.5
    clamped = centres.clip(0.5, source - 0.5)  # the half slice at either end repeats the end
    weights: NDArray[np.float64] = np.maximum(1 - np.abs(clamped[:, None] - taps) / reach, 0)
    weights[np.abs(weights) < 1e-9] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    weights[(centres < 0) | (centres >= source)] = 0
    weights[np.abs(weights - 1) < 1e-9] = 1
    return weights
