"""Dice loss (Milletari et al. 2016, arXiv 1606.04797) on soft-max probabilities, as a function and as a loss.

Without the paper's squares in the denominator, as is usual since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.losses._class_sums import ClassSums, class_sums
from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import mean_of_classes
from intarsia.losses._options import AMOUNT, SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["Dice", "dice_loss"]


def dice_loss(
    logits: Tensor,
    labels: Tensor,
    smooth: float = 1.0,
    classes: Sequence[int] | None = None,
    *,
    present_only: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - (2|A∩B| + s) / (|A| + |B| + s) for each class, averaged; A are the probabilities, B the labels, over the whole batch.

    `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void; void is in neither set. A label of C or more counts as void.
    `present_only` averages over the classes that the labels hold, since a class that is absent can only be punished for its false
    positives, which the others already pay for; 0 where no pixel has a label. `per_image` makes the sets of each image and
    averages over the classes of each, then over the images. `classes` are the channels averaged over, by default all. Raises
    OptionError for a smooth term below 0, InvalidNoun for sizes that do not fit and for a class that is no channel.

    >>> import torch
    >>> logits = torch.tensor([[[[9.0, 9.0]], [[-9.0, -9.0]]]])  # class 0 twice
    >>> labels = torch.tensor([[[0, 1]]])  # class 0: 1 - (2 + 1) / (3 + 1), class 1: 1 - (0 + 1) / (1 + 1)
    >>> round(float(dice_loss(logits, labels)), 4)
    0.375
    """
    check("dice", smooth=(smooth, AMOUNT))
    return _from_sums(class_sums(logits, labels), classes, smooth, present_only, per_image)


def _from_sums(sums: ClassSums, classes: Sequence[int] | None, smooth: float, present_only: bool, per_image: bool) -> Tensor:
    sums = sums if per_image else sums.over_batch()  # (B or 1, C) each
    tiny = 1e-7  # without smooth, of a class that is neither there nor predicted
    losses = 1 - (2 * sums.right + smooth) / (sums.predicted + sums.counts + smooth).clamp(min=tiny)
    return mean_of_classes(losses, sums.counts, present_only=present_only, classes=classes)


class Dice:
    """`dice_loss` of a Dense output, times `weight`.

    >>> import torch
    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in Dice()(Dense(torch.zeros(1, 2, 2, 2)), targets).items()}  # 1 - 5 / 7
    {'dice': 0.2857}
    """

    def __init__(self, weight: float = 1.0, smooth: float = 1.0, present_only: bool = True, per_image: bool = False) -> None:
        check("dice", smooth=(smooth, AMOUNT), present_only=(present_only, SWITCH), per_image=(per_image, SWITCH))
        self.weight = weight
        self.options = smooth, present_only, per_image

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            return _from_sums(part.sums, part.channels_of(None), *self.options)

        return {"dice": self.weight * dense_loss(output, targets, loss)}
