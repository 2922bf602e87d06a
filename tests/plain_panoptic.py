"""Panoptic quality in loops over pairs of masks, for tests: slow, and written apart from the metric."""

from __future__ import annotations

import cv2
import numpy as np


def plain_counts(truth, truth_rows, guess, guess_rows, count, band=None):
    """(C, 4) sum of IoUs, pairs, false alarms and misses of maps (H, W) of ids and, by id, (class, crowd) of each segment.

    Truth id -1 is void. `band`, a share of the diagonal, gives boundary PQ.
    """
    table = np.zeros((count, 4))
    void = truth == -1
    wanted = {row: truth == row for row in truth_rows if (truth == row).any()}
    given = {row: guess == row for row in guess_rows if (guess == row).any()}
    paired = set()
    for one, mask in wanted.items():
        category, crowd = truth_rows[one]
        if crowd:
            continue
        partner = None
        for other, answer in given.items():
            if guess_rows[other][0] == category:
                iou = share(mask, answer & ~void)
                if band is not None:
                    iou = min(iou, share(rim(mask, band), rim(answer, band) & ~void))
                if iou > 0.5:
                    partner = other
                    table[category, :2] += iou, 1
        paired.add(partner)
        table[category, 3] += partner is None
    for other, answer in given.items():
        category = guess_rows[other][0]
        unknown = void.copy()
        for one, mask in wanted.items():
            if truth_rows[one] == (category, True):
                unknown |= mask
        table[category, 2] += other not in paired and (answer & unknown).sum() <= answer.sum() / 2
    return table


def share(a, b):
    """IoU of two masks."""
    return (a & b).sum() / (a | b).sum()


def rim(mask, ratio):
    """The band of a mask by the erosion that Cheng et al. 2021 describe: by a square of three, once for each pixel of its width."""
    times = max(1, round(ratio * float(np.hypot(*mask.shape))))
    framed = np.pad(mask.astype(np.uint8), 1)
    return mask & ~cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=times)[1:-1, 1:-1].astype(bool)
