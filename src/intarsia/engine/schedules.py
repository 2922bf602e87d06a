"""Learning-rate schedules as functions of the share of training done, so that a resume needs no state."""

from __future__ import annotations

from math import cos, pi

__all__ = ["SCHEDULES", "constant", "cosine", "momentum_of_one_cycle", "one_cycle", "poly"]

START, END = 1 / 25, 1 / 25e4


def _between(start: float, end: float, share: float) -> float:
    """Cosine annealing from start to end."""
    return end + (start - end) * (1 + cos(pi * share)) / 2


def one_cycle(done: float, warmup: float = 0.3) -> float:
    """The factor on the learning rate: up from 1/25 within the `warmup` share, then down to 1/250,000, both by cosine
    (Smith and Topin, arXiv 1708.07120, in the form of torch's OneCycleLR).

    >>> [round(one_cycle(done), 9) for done in (0.0, 0.3, 1.0)]
    [0.04, 1.0, 4e-06]
    """
    return _between(START, 1, done / warmup) if done < warmup else _between(1, END, (done - warmup) / (1 - warmup))


def momentum_of_one_cycle(done: float, warmup: float = 0.3, low: float = 0.85, high: float = 0.95) -> float:
    """The momentum (beta1 for Adam) that goes with `one_cycle`: high where the rate is low.

    >>> momentum_of_one_cycle(0.0), momentum_of_one_cycle(0.3)
    (0.95, 0.85)
    """
    return _between(high, low, done / warmup) if done < warmup else _between(low, high, (done - warmup) / (1 - warmup))


def cosine(done: float, warmup: float = 0.0) -> float:
    """Linear warm-up, then half a cosine to 0 (Loshchilov and Hutter, arXiv 1608.03983, one period).

    >>> cosine(0.0), round(cosine(0.5), 3), cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    return done / warmup if done < warmup else _between(1, 0, (done - warmup) / (1 - warmup))


def poly(done: float, warmup: float = 0.0, power: float = 0.9) -> float:
    """Linear warm-up, then (1 - t)^0.9 (DeepLab, arXiv 1606.00915).

    >>> poly(0.0), round(poly(0.5), 4), poly(1.0)
    (1.0, 0.5359, 0.0)
    """
    return done / warmup if done < warmup else (1 - (done - warmup) / (1 - warmup)) ** power


def constant(done: float, warmup: float = 0.0) -> float:
    """Linear warm-up, then 1."""
    return done / warmup if done < warmup else 1.0


SCHEDULES = {"one_cycle": one_cycle, "cosine": cosine, "poly": poly, "constant": constant}
