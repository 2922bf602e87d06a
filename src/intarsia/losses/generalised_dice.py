"""Generalised Dice loss (Sudre et al. 2017, arXiv 1707.03237, section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.losses._class_sums import ClassSums, class_sums
from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import mean_of_classes

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["GeneralisedDice", "generalised_dice_loss"]


def generalised_dice_loss(
    logits: Tensor,
    labels: Tensor,
    power: float = 2.0,
    smooth: float = 1e-5,
    *,
    present_only: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - (2 Σ w |A∩B| + s) / (Σ w (|A| + |B|) + s), sums over the classes, w = |B| ^ -power: a small class counts as a large one.

    A are the probabilities, B the labels, over the whole batch or `per_image`, as in `dice_loss`; void is in neither. An absent
    class has no weight of its own: none with `present_only`, else the largest of the others. Weights are scaled to the largest,
    so that the smooth term means the same for large and small images.

    >>> import torch
    >>> logits = torch.tensor([[[[99.0, 99.0, 99.0]], [[0.0, 0.0, 0.0]]]])  # class 0 thrice
    >>> labels = torch.tensor([[[0, 0, 1]]])  # weights 1/4 and 1: 1 - 2 * (2/4) / (5/4 + 1)
    >>> round(float(generalised_dice_loss(logits, labels)), 4)
    0.5556
    """
    return _from_sums(class_sums(logits, labels), power, smooth, present_only, per_image)


def _from_sums(sums: ClassSums, power: float, smooth: float, present_only: bool, per_image: bool) -> Tensor:
    sums = sums if per_image else sums.over_batch()  # (B or 1, C) each
    there = sums.counts > 0
    least = sums.counts.where(there, sums.counts.max()).amin(dim=1, keepdim=True).clamp(min=1)  # (B or 1, 1)
    weights = (least / sums.counts.clamp(min=1)) ** power
    weights = weights.where(there, 0.0 if present_only else 1.0)
    both = 2 * (weights * sums.right).sum(dim=1, keepdim=True) + smooth  # (B or 1, 1)
    apart = (weights * (sums.predicted + sums.counts)).sum(dim=1, keepdim=True) + smooth
    return mean_of_classes(1 - both / apart, sums.counts.sum(dim=1, keepdim=True), present_only=True)


class GeneralisedDice:
    """`generalised_dice_loss` of a Dense output, times `weight`.

    >>> import torch
    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> loss = GeneralisedDice()(Dense(torch.zeros(1, 2, 2, 2)), targets)  # 1 - 2 * 2 / 6
    >>> {name: round(float(value), 4) for name, value in loss.items()}
    {'generalised_dice': 0.3333}
    """

    def __init__(
        self,
        weight: float = 1.0,
        power: float = 2.0,
        smooth: float = 1e-5,
        present_only: bool = True,
        per_image: bool = False,
    ) -> None:
        self.weight = weight
        self.options = power, smooth, present_only, per_image

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""
        return {"generalised_dice": self.weight * dense_loss(output, targets, lambda part: _from_sums(part.sums, *self.options))}
