"""The watch on a training: what goes wrong, told from the rows of its epochs in plain words, with what to try. Loads no torch.

Each rule would rather miss a fault than tell one that is none: it wants the fault in several epochs, and by a margin.
"""

from __future__ import annotations

from math import isnan
from statistics import fmean, median
from typing import TYPE_CHECKING

from intarsia.core.files import whole_file
from intarsia.engine.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    Rows = Sequence[Mapping[str, float]]

__all__ = ["never_predicted", "news", "watch"]

WAIT = 0.3
"""The share of waiting for data, in two epochs running, from which on it is told."""
LATER = 0.5
"""The share of the training before which a class may go unpredicted without a word."""
MOST = 0.5
"""The share of all classes above which those never predicted are no matter of each class."""


def watch(rows: Rows, headline: str = "mean_iou") -> dict[str, str]:
    """What is wrong after these epochs, by kind: `data`, `overfitting`, `rate too high`, `nothing learnt`; mostly nothing.

    A row holds `epoch`, `loss`, `lr`, `wait` (the share of the time spent waiting for data) and, where it was evaluated,
    its `headline`, such as `val_mean_iou`; what is missing is not judged.

    >>> watch([{"epoch": 1, "loss": 1.0, "wait": 0.5}, {"epoch": 2, "loss": 0.8, "wait": 0.4}])
    {'data': 'Training waits for data 40% of the time: more --workers (or a smaller --size) would make it faster.'}
    """
    rules = {"data": _waiting, "overfitting": _overfitting, "rate too high": _rising, "nothing learnt": _flat}
    found = {kind: rule(rows, headline) for kind, rule in rules.items()}
    return {kind: text for kind, text in found.items() if text}


REMEDIES = {
    "class_weights": "--class-weights sqrt_median_frequency",
    "rare_crops": "--rare-crops 0.5",
    "regions": "a loss of regions such as dice",
    "size": "a larger --size",
}
"""What helps a class that is never predicted."""


def never_predicted(
    history: Sequence[Sequence[str]], done: float, shares: Callable[[], Mapping[str, float]], tried: Collection[str] = ()
) -> dict[str, str]:
    """The classes that the two latest evaluations, or the only one, have not given to a single pixel, though the val split shows
    them, by kind.

    Where they are most of all classes, that is told in one text of its own. `history` names such classes for each evaluation
    (`unpredicted`), `done` is the share of the training done, of which the first half is not judged, and `shares`, asked only where
    needed, gives those of each class among the training pixels. What is `tried` already, of `REMEDIES`, is not advised.

    >>> never_predicted([["pole", "car"], ["pole"]], 0.6, lambda: {"pole": 0.004})["never predicted: pole"][:77]
    "Class 'pole' has not been predicted once, and has 0.4% of the training pixels"
    """
    if done < LATER or not history or (len(history) < 2 and done < 1):
        return {}
    lasting = [name for name in history[-1] if all(name in names for names in history[-2:])]
    known = shares() if lasting else {}
    if len(lasting) > 1 and len(lasting) > MOST * len(known):
        return {"nothing learnt": _hardly(lasting, len(known))}
    ever = {name for name in lasting if not all(name in names for names in history)}
    return {f"never predicted: {name}": _never(name, known.get(name, 0.0), name in ever, tried) for name in lasting}


def news(found: Mapping[str, str], told: dict[str, str], epoch: int, folder: Path | None = None) -> list[str]:
    """What is not in `told` yet, put there with its epoch, and the whole of it in watch.txt of `folder`."""
    fresh = {kind: text for kind, text in found.items() if kind not in told}
    told |= {kind: f"epoch {epoch}: {text}" for kind, text in fresh.items()}
    if fresh and folder is not None:
        with whole_file(folder / "watch.txt") as draft:
            draft.write_text("\n".join((*told.values(), "")), encoding="utf-8")
    return list(fresh.values())


def _hardly(names: Sequence[str], classes: int) -> str:
    return (
        f"Hardly anything is learnt: {len(names)} of {classes} classes are never predicted. The learning rate may be far too high "
        "or too low, see `intarsia lr-find`; or the labels do not fit the images, see `intarsia look`."
    )


def _never(name: str, share: float, before: bool, tried: Collection[str]) -> str:
    if share == 0:
        return f"Class {name!r} is in the val split and in no training image: it cannot be learnt. Divide the data anew."
    when = "is predicted no more" if before else "has not been predicted once"
    *some, last = (remedy for kind, remedy in REMEDIES.items() if kind not in tried)
    advice = f"{', '.join(some)}, or {last}" if some else last
    return f"Class {name!r} {when}, and has {share * 100:.3g}% of the training pixels. Try {advice}."


def _waiting(rows: Rows, headline: str) -> str:
    shares = [row.get("wait", 0.0) for row in rows[-2:]]
    if len(shares) < 2 or min(shares) <= WAIT:
        return ""
    return f"Training waits for data {shares[-1]:.0%} of the time: more --workers (or a smaller --size) would make it faster."


def _overfitting(rows: Rows, headline: str) -> str:
    """Means of three evaluations have fallen by 0.02 from the highest, and by 2.5 times the jitter, while the loss fell by 5 %."""
    scored = [row for row in rows if not isnan(row.get(f"val_{headline}", float("nan")))]
    if len(scored) < 6:
        return ""
    values = [row[f"val_{headline}"] for row in scored]
    means = [fmean(values[start : start + 3]) for start in range(len(values) - 2)]
    jitter = median(abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False))
    best = max(range(len(values)), key=values.__getitem__)
    fallen = max(means[:-3]) - means[-1]
    drop = scored[best]["loss"] - scored[-1]["loss"]
    if best >= len(values) - 3 or fallen < max(0.02, 2.5 * jitter) or drop < 0.05 * abs(scored[best]["loss"]):
        return ""
    return (
        f"Overfitting: {spelled(headline)} on the val split was best in epoch {scored[best]['epoch']:.0f} ({values[best]:.3f}) and "
        f"is now {values[-1]:.3f}, while the training loss went on falling ({scored[best]['loss']:.3g} to "
        f"{scored[-1]['loss']:.3g}). "
        "The best weights are kept. Try fewer --epochs or --early-stop 5, stronger augmentation (--scale 0.5 2, --rotation 10, "
        "--colour 0.4), more --weight-decay, or more data."
    )


def _rising(rows: Rows, headline: str) -> str:
    """Both latest losses lie above the lowest before them, by a quarter of the first."""
    losses = [row["loss"] for row in rows]
    if len(losses) < 3 or min(losses[-2:]) < (lowest := min(losses[:-2])) + 0.25 * abs(losses[0]):
        return ""
    return (
        f"The training loss rises, {lowest:.3g} in epoch {losses.index(lowest) + 1} and {losses[-1]:.3g} in the latest: the "
        f"learning rate of {max(row['lr'] for row in rows):.1g} is too high. `intarsia lr-find` suggests one."
    )


def _flat(rows: Rows, headline: str) -> str:
    """Five epochs within 10 % that end less than 2 % below where they began, by the means of two, and no score that would say that
    there is nothing left to learn.
    """
    losses = [row["loss"] for row in rows]
    scores = [row[f"val_{headline}"] for row in rows if f"val_{headline}" in row]
    if len(losses) < 5 or max(scores, default=0.0) >= 0.5:
        return ""
    fallen, jitter = fmean(losses[:2]) - fmean(losses[-2:]), max(losses) - min(losses)
    if fallen >= 0.02 * abs(losses[0]) or jitter >= 0.1 * abs(losses[0]):
        return ""
    return (
        f"Nothing is learnt: in {len(losses)} epochs the training loss has stayed between {min(losses):.4g} and {max(losses):.4g}. "
        f"The learning rate of {max(row['lr'] for row in rows):.1g} is far too low, or far too high: see `intarsia lr-find`."
    )
