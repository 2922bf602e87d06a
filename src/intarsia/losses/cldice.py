"""clDice (Shit et al. 2021, arXiv 2003.07311): Dice of centre lines, for roads, cracks and vessels, as a function and as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import class_shares, known_only, label_counts
from intarsia.losses._options import AMOUNT, CLASSES, COUNT, SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["ClDice", "cldice_loss", "soft_skeleton"]


def cldice_loss(
    logits: Tensor,
    labels: Tensor,
    iterations: int = 3,
    smooth: float = 1.0,
    classes: Sequence[int] | None = None,
    *,
    present_only: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - 2 T_p T_s / (T_p + T_s) for each class, averaged (equation 2, algorithm 2).

    T_p is the share of the predicted skeleton inside the truth, T_s the share of the true skeleton inside the prediction, each with
    the smooth term above and below. `iterations` is at least the radius of the widest structure, in pixels. It belongs beside an
    overlap loss. `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, which no skeleton sees: nothing is eroded from there
    nor grown from there. `classes` are the channels that are thin, by default all; each costs some 20 arrays (B, *S) per iteration.
    `present_only`, `per_image` and InvalidNoun as in `dice_loss`. Raises OptionError for iterations that are no whole number,
    and for iterations or a smooth term below 0.

    >>> labels = torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]])
    >>> logits = torch.zeros(1, 2, 3, 4)
    >>> logits[:, 1, 1, :2] = logits[:, 0, 0] = logits[:, 0, 2] = 99.0
    >>> logits[:, 0, 1, 2:] = 99.0  # half of the line: T_p = 3 / 3, T_s = 3 / 5
    >>> round(float(cldice_loss(logits, labels, classes=[1])), 4)
    0.25
    """
    check("cldice", iterations=(iterations, COUNT), smooth=(smooth, AMOUNT))
    logits, labels = known_only(logits, labels)
    known = (labels >= 0)[:, None]  # (B, 1, *S)
    counts = label_counts(labels, logits.shape[1])  # (B, C)
    counts = counts if per_image else counts.sum(dim=0, keepdim=True)  # (B or 1, C)
    shares = class_shares(counts, present_only=present_only, classes=classes).to(logits.dtype)
    probabilities = logits.softmax(dim=1)
    tiny = 1e-7  # without smooth, of a class whose lines are nowhere
    total = 0 * probabilities.flatten()[0]  # without classes a loss still has a gradient, 0
    for channel in shares.sum(dim=0).nonzero().flatten().tolist():
        chance = probabilities[:, channel, None].where(known, 0)  # (B, 1, *S)
        truth = (labels == channel)[:, None].to(chance.dtype)
        lines, true_lines = soft_skeleton(chance, iterations, known), soft_skeleton(truth, iterations, known)
        sums = torch.stack([lines * truth, lines, true_lines * chance, true_lines]).flatten(2).sum(dim=2)  # (4, B)
        inside, all_lines, found, all_true = (sums if per_image else sums.sum(dim=1, keepdim=True)) + smooth
        precision, sensitivity = inside / all_lines.clamp(min=tiny), found / all_true.clamp(min=tiny)
        losses = 1 - 2 * precision * sensitivity / (precision + sensitivity).clamp(min=tiny)  # (B or 1)
        total = total + torch.dot(losses, shares[:, channel])
    return total


def soft_skeleton(soft: Tensor, iterations: int, known: Tensor | None = None) -> Tensor:
    """(B, 1, *S) the centre lines of soft masks (algorithm 1): what opening takes away, at each of `iterations` erosions.

    Where not `known` the mask has no value: the skeleton is 0 there and the same elsewhere whatever stands there.

    >>> soft_skeleton(torch.tensor([[[[1.0], [1.0], [1.0]]]]).expand(1, 1, 3, 5), 2)[0, 0].tolist()[1]
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    known = torch.ones_like(soft, dtype=torch.bool) if known is None else known
    skeleton = torch.relu(soft - _opened(soft, known))
    for _ in range(iterations):
        soft = _eroded(soft, known)
        lost = torch.relu(soft - _opened(soft, known))
        skeleton = skeleton + torch.relu(lost - skeleton * lost)
    return skeleton.where(known, 0)


def _opened(soft: Tensor, known: Tensor) -> Tensor:
    """Eroded, then grown by the full neighbourhood."""
    grow = functional.max_pool2d if soft.ndim == 4 else functional.max_pool3d
    return grow(_eroded(soft, known).where(known, 0), 3, stride=1, padding=1)


def _eroded(soft: Tensor, known: Tensor) -> Tensor:
    """The least along each axis; outside the image and in void nothing is less than 1."""
    pool = functional.max_pool2d if soft.ndim == 4 else functional.max_pool3d
    negative = -soft.where(known, 1)
    axes = soft.ndim - 2
    lines = [[3 if axis == along else 1 for axis in range(axes)] for along in range(axes)]
    return torch.stack([-pool(negative, line, stride=1, padding=[size // 2 for size in line]) for line in lines]).amin(dim=0)


class ClDice:
    """`cldice_loss` of a Dense output, times `weight`; `classes` are the indices of those that are thin.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 1, 3, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> loss = ClDice()(Dense(torch.tensor([[[[0.0, 0.0, 0.0]], [[99.0, 99.0, 99.0]]]])), targets)
    >>> {name: round(float(value), 4) for name, value in loss.items()}
    {'cldice': 0.0}
    """

    def __init__(
        self,
        weight: float = 1.0,
        iterations: int = 3,
        smooth: float = 1.0,
        classes: Sequence[int] | None = None,
        present_only: bool = True,
        per_image: bool = False,
    ) -> None:
        check("cldice", iterations=(iterations, COUNT), smooth=(smooth, AMOUNT), classes=(classes, CLASSES))
        check("cldice", present_only=(present_only, SWITCH), per_image=(per_image, SWITCH))
        self.weight = weight
        self.classes = classes
        self.options = iterations, smooth
        self.averaging = {"present_only": present_only, "per_image": per_image}

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            classes = part.channels_of(self.classes)
            return cldice_loss(part.logits, part.labels, *self.options, classes, **self.averaging)

        return {"cldice": self.weight * dense_loss(output, targets, loss)}
