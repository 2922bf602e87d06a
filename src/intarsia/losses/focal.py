"""Focal loss (Lin et al. 2017, arXiv 1708.02002) on soft-max probabilities, as a function and as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from intarsia.core.errors import InvalidNoun
from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import known_only
from intarsia.losses._options import AMOUNT, WEIGHTS, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["Focal", "focal_loss"]


def focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: Tensor | Sequence[float] | None = None) -> Tensor:
    """The mean of -α_y (1 - p_y)^γ log p_y over the pixels that have a label (equation 5), p the soft-max; 0 where none has.

    `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, `alpha` (C,), by default 1: it is not divided by, as class weights
    are. A label of C or more counts as void. With two channels, one of them 0, it is the paper's sigmoid form. γ = 0 is the
    cross-entropy. Raises OptionError for γ below 0, InvalidNoun for another number of alphas and for sizes that do not fit.

    >>> round(float(focal_loss(torch.zeros(1, 4, 1, 2), torch.tensor([[[3, -1]]]))), 4)  # (3/4)^2 log 4
    0.7798
    """
    check("focal", gamma=(gamma, AMOUNT))
    logits, labels = known_only(logits, labels)
    surprise = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="none")  # (B, *S), -log p_y, 0 at void
    tiny = torch.finfo(surprise.dtype).tiny  # a root, γ below 1, has no slope at 0
    losses = (-torch.expm1(-surprise)).clamp(min=tiny) ** gamma * surprise
    if alpha is not None:
        weights = torch.as_tensor(alpha, dtype=losses.dtype, device=losses.device)
        if len(weights) != logits.shape[1]:
            raise InvalidNoun("alpha", expected=f"{logits.shape[1]} numbers, one for each channel", received=len(weights))
        losses = losses * weights[labels.clamp(min=0)]
    return losses.sum() / (labels >= 0).sum().clamp(min=1)


class Focal:
    """`focal_loss` of a Dense output, times `weight`; without an `alpha` the `class_weights` are it.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in Focal()(Dense(torch.zeros(1, 2, 1, 1)), targets).items()}  # log 2 / 4
    {'focal': 0.1733}
    """

    def __init__(
        self,
        weight: float = 1.0,
        gamma: float = 2.0,
        alpha: Sequence[float] | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        check("focal", gamma=(gamma, AMOUNT), alpha=(alpha, WEIGHTS), class_weights=(class_weights, WEIGHTS))
        self.weight = weight
        self.gamma = gamma
        self.alpha = class_weights if alpha is None else alpha

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            return focal_loss(part.logits, part.labels, self.gamma, part.by_channel("alpha", self.alpha))

        return {"focal": self.weight * dense_loss(output, targets, loss)}
