"""Memory that a process keeps for its next batch."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
MOST, MOST_ONCE = 2**30, 2**25
"""Bytes at the end of the heap that go back to the kernel, and as many as glibc before 2.35 takes for a threshold."""


def keep_freed() -> None:
    """Lets this process, and those forked later, keep what it frees, until 1 GiB lies unused at the end of the heap. Nothing where
    the C library is not glibc.

    Each batch takes what the last one freed, and what went back to the kernel in between comes as new pages, a fault for every
    4 KiB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, MOST)
        mallopt(M_MMAP_THRESHOLD, MOST) or mallopt(M_MMAP_THRESHOLD, MOST_ONCE)
