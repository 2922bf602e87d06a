"""Cross-entropy with class weights, as a function and as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from intarsia.core.errors import InvalidNoun
from intarsia.losses._dense import at_least_float32, dense_loss, known_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["CrossEntropy", "cross_entropy_loss"]


def cross_entropy_loss(
    logits: Tensor, labels: Tensor, class_weights: Tensor | Sequence[float] | None = None, *, smoothing: float = 0.0
) -> Tensor:
    """The mean of -w_y log softmax(logits)_y over the pixels that have a label, weighted by w_y; 0 where none has.

    `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, `class_weights` (C,). A label of C or more counts as void.
    Raises InvalidNoun for another number of class weights.

    >>> round(float(cross_entropy_loss(torch.zeros(1, 4, 1, 2), torch.tensor([[[3, -1]]]))), 4)  # log 4
    1.3863
    """
    logits = at_least_float32(logits)
    labels = known_labels(labels, logits.shape[1])
    weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=logits.dtype, device=logits.device)
    if weights is not None and len(weights) != logits.shape[1]:
        raise InvalidNoun("class_weights", expected=f"{logits.shape[1]} numbers, one for each channel", received=len(weights))
    total = functional.cross_entropy(logits, labels, weights, ignore_index=-1, reduction="sum", label_smoothing=smoothing)
    known = labels >= 0
    share = known.sum() if weights is None else weights[labels.clamp(min=0)].mul(known).sum()
    return total / share.clamp(min=torch.finfo(logits.dtype).tiny)


class CrossEntropy:
    """`cross_entropy_loss` of a Dense output, times `weight`.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in CrossEntropy()(Dense(torch.zeros(1, 2, 1, 1)), targets).items()}  # log 2
    {'cross_entropy': 0.6931}
    """

    def __init__(self, weight: float = 1.0, class_weights: Sequence[float] | None = None, smoothing: float = 0.0) -> None:
        self.weight = weight
        self.class_weights = class_weights
        self.smoothing = smoothing

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return cross_entropy_loss(logits, labels, self.class_weights, smoothing=self.smoothing)

        return {"cross_entropy": self.weight * dense_loss(output, targets, loss)}
