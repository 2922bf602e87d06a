"""Dice loss (Milletari et al. 2016, arXiv 1606.04797) on soft-max probabilities, as a function and as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.losses._dense import at_least_float32, dense_loss, known_labels

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["Dice", "dice_loss"]


def dice_loss(logits: Tensor, labels: Tensor, smooth: float = 1.0, *, present_only: bool = True) -> Tensor:
    """1 - (2|A∩B| + s) / (|A| + |B| + s) for each class, averaged; A are the probabilities, B the labels, over the whole batch.

    `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void; void is in neither set. A label of C or more counts as void.
    `present_only` averages over the classes that the labels hold, since a class that is absent can only be punished for its false
    positives, which the others already pay for; 0 where no pixel has a label.

    >>> import torch
    >>> logits = torch.tensor([[[[9.0, 9.0]], [[-9.0, -9.0]]]])  # class 0 twice
    >>> labels = torch.tensor([[[0, 1]]])  # class 0: 1 - (2 + 1) / (3 + 1), class 1: 1 - (0 + 1) / (1 + 1)
    >>> round(float(dice_loss(logits, labels)), 4)
    0.375
    """
    channels = logits.shape[1]
    labels = known_labels(labels, channels)
    known = labels >= 0
    # one index for each pixel, not a one-hot copy of the logits
    index = labels.clamp(min=0).flatten()  # (B, *S) -> (B·S)
    probabilities = at_least_float32(logits).softmax(dim=1) * known[:, None]  # (B, C, *S)
    truth = probabilities.gather(1, labels.clamp(min=0)[:, None]).flatten()  # (B, 1, *S) -> (B·S), p of the true class
    overlap = truth.new_zeros(channels).index_add(0, index, truth)  # (C,)
    counts = truth.new_zeros(channels).index_add(0, index, known.flatten().to(truth.dtype))  # (C,)
    predicted = probabilities.transpose(0, 1).flatten(1).sum(dim=1)  # (B, C, *S) -> (C,)
    losses = 1 - (2 * overlap + smooth) / (predicted + counts + smooth)
    counted = counts > 0 if present_only else known.any().expand(channels)
    return losses.where(counted, 0).sum() / counted.sum().clamp(min=1)


class Dice:
    """`dice_loss` of a Dense output, times `weight`.

    >>> import torch
    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in Dice()(Dense(torch.zeros(1, 2, 2, 2)), targets).items()}  # 1 - 5 / 7
    {'dice': 0.2857}
    """

    def __init__(self, weight: float = 1.0, smooth: float = 1.0, present_only: bool = True) -> None:
        self.weight = weight
        self.smooth = smooth
        self.present_only = present_only

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return dice_loss(logits, labels, self.smooth, present_only=self.present_only)

        return {"dice": self.weight * dense_loss(output, targets, loss)}
