"""Generalised Dice loss (Sudre et al. 2017, arXiv 1707.03237, section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.losses._class_sums import ClassSums, class_sums
from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import among, mean_of_classes
from intarsia.losses._options import AMOUNT, SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["GeneralisedDice", "generalised_dice_loss"]


def generalised_dice_loss(
    logits: Tensor,
    labels: Tensor,
    power: float = 2.0,
    smooth: float = 1e-5,
    classes: Sequence[int] | None = None,
    *,
    present_only: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - (2 Σ w |A∩B| + s) / (Σ w (|A| + |B|) + s), sums over the classes, w = |B| ^ -power: a small class counts as a large one.

    A are the probabilities, B the labels, over the whole batch or `per_image`, as in `dice_loss`; void is in neither. An absent
    class has no weight of its own: none with `present_only`, else the largest of the others. Weights are scaled to the largest,
    so that the smooth term means the same for large and small images. `classes` are the channels summed over, by default all.
    Raises OptionError for a power or a smooth term below 0, InvalidNoun as `dice_loss` does.

    >>> logits = torch.tensor([[[[99.0, 99.0, 99.0]], [[0.0, 0.0, 0.0]]]])  # class 0 thrice
    >>> labels = torch.tensor([[[0, 0, 1]]])  # weights 1/4 and 1: 1 - 2 * (2/4) / (5/4 + 1)
    >>> round(float(generalised_dice_loss(logits, labels)), 4)
    0.5556
    """
    check("generalised_dice", power=(power, AMOUNT), smooth=(smooth, AMOUNT))
    return _from_sums(class_sums(logits, labels), classes, power, smooth, present_only, per_image)


def _from_sums(
    sums: ClassSums, classes: Sequence[int] | None, power: float, smooth: float, present_only: bool, per_image: bool
) -> Tensor:
    sums = sums if per_image else sums.over_batch()  # (B or 1, C) each
    summed = torch.ones_like(sums.counts[0], dtype=torch.bool) if classes is None else among(classes, sums.counts)  # (C)
    there = summed & (sums.counts > 0)
    least = sums.counts.where(there, sums.counts.max()).amin(dim=1, keepdim=True).clamp(min=1)  # (B or 1, 1)
    weights = (least / sums.counts.clamp(min=1)) ** power
    weights = weights.where(there, 0.0 if present_only else 1.0) * summed
    both = 2 * (weights * sums.right).sum(dim=1, keepdim=True) + smooth  # (B or 1, 1)
    apart = (weights * (sums.predicted + sums.counts)).sum(dim=1, keepdim=True) + smooth
    tiny = 1e-7  # without smooth, where nothing is labelled
    labelled = (there if present_only else sums.counts).sum(dim=1, keepdim=True)  # (B or 1, 1)
    return mean_of_classes(1 - both / apart.clamp(min=tiny), labelled, present_only=True)


class GeneralisedDice:
    """`generalised_dice_loss` of a Dense output, times `weight`.

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
        check("generalised_dice", power=(power, AMOUNT), smooth=(smooth, AMOUNT))
        check("generalised_dice", present_only=(present_only, SWITCH), per_image=(per_image, SWITCH))
        self.weight = weight
        self.options = power, smooth, present_only, per_image

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            return _from_sums(part.sums, part.channels_of(None), *self.options)

        return {"generalised_dice": self.weight * dense_loss(output, targets, loss)}
