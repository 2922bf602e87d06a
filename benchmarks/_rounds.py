"""Timing that is fair to both sides: candidates take turns in one process, the median of the rounds counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["medians"]


def medians(candidates: Mapping[str, Callable[[], Any]], rounds: int = 11) -> dict[str, float]:
    """Milliseconds of each candidate, the median of `rounds` after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, candidate in candidates.items():
            start = time.perf_counter()
            candidate()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(measured[1:]) for name, measured in times.items()}
