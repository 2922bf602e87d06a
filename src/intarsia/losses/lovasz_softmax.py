"""Lovász-softmax loss (Berman et al. 2018, arXiv 1705.08790): the mean intersection over union, made continuous.

The extension is linear between changes of order, so its gradient is a map of weights of the errors. That map is made first, class
by class and without a record for autograd, and the loss is its product with the probabilities: two arrays of the logits' size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import class_shares, known_only, label_counts
from intarsia.losses._options import SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["LovaszSoftmax", "lovasz_softmax_loss"]


def lovasz_softmax_loss(
    logits: Tensor,
    labels: Tensor,
    classes: Sequence[int] | None = None,
    *,
    present_only: bool = True,
    per_image: bool = False,
) -> Tensor:
    """The Lovász extension of 1 - IoU, at the errors |[y = c] - p_c| of each class (equations 8 and 9), averaged.

    `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, which is left out; a label of C or more counts as void. Over the
    whole batch, or `per_image`; `classes`, `present_only` and the errors as in `dice_loss`. 0 where no pixel has a label.

    >>> logits = torch.tensor([[[[99.0, 99.0]], [[0.0, 0.0]]]])  # class 0 twice: IoU 1/2 and 0
    >>> round(float(lovasz_softmax_loss(logits, torch.tensor([[[0, 1]]]))), 4)
    0.75
    """
    logits, labels = known_only(logits, labels)
    probabilities = logits.softmax(dim=1)  # (B, C, *S)
    weights, constant = _weights(probabilities.detach(), labels, classes, present_only, per_image)
    return torch.dot(probabilities.flatten(), weights.flatten()) + constant


def _weights(
    probabilities: Tensor, labels: Tensor, classes: Sequence[int] | None, present_only: bool, per_image: bool
) -> tuple[Tensor, Tensor]:
    """(B, C, *S) the slope of the loss by probability, and what the loss is where all of these are 0."""
    batch, channels = probabilities.shape[:2]
    rows = batch if per_image else 1
    counts = label_counts(labels, channels).view(batch // rows, rows, channels).sum(dim=0)  # (B or 1, C)
    shares = class_shares(counts, present_only=present_only, classes=classes).to(probabilities.dtype)
    flat = labels.reshape(rows, -1)  # (B, *S) -> (B or 1, P)
    weights = torch.zeros_like(probabilities)
    constant = probabilities.new_zeros(())
    for channel in range(channels):
        if not shares[:, channel].any():
            continue
        truth = flat == channel
        chance = probabilities[:, channel].reshape(rows, -1)
        errors = torch.where(truth, 1 - chance, chance).masked_fill_(flat < 0, -1)  # void comes last and changes nothing before
        slope = _jaccard_slope(truth, errors.argsort(dim=1, descending=True)).to(chance.dtype) * shares[:, channel, None]
        constant += slope[truth].sum()
        slope = torch.where(truth, -slope, slope).masked_fill_(flat < 0, 0)
        weights[:, channel] = slope.view_as(labels)
    return weights, constant


def _jaccard_slope(truth: Tensor, order: Tensor) -> Tensor:
    """(rows, P) how much 1 - IoU grows when each pixel joins the errors before it in `order` (algorithm 1)."""
    right = truth.gather(1, order)
    total = right.sum(dim=1, keepdim=True)
    # in float64: neighbours differ by little
    jaccard = 1 - (total - right.cumsum(dim=1)) / (total + (~right).cumsum(dim=1)).double()
    growth = jaccard.diff(dim=1, prepend=jaccard.new_zeros(len(jaccard), 1))
    return torch.empty_like(growth).scatter_(1, order, growth)


class LovaszSoftmax:
    """`lovasz_softmax_loss` of a Dense output, times `weight`.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> loss = LovaszSoftmax()(Dense(torch.zeros(1, 2, 2, 2)), targets)  # every error is 1/2
    >>> {name: round(float(value), 4) for name, value in loss.items()}
    {'lovasz_softmax': 0.5}
    """

    def __init__(self, weight: float = 1.0, present_only: bool = True, per_image: bool = False) -> None:
        check("lovasz_softmax", present_only=(present_only, SWITCH), per_image=(per_image, SWITCH))
        self.weight = weight
        self.options = {"present_only": present_only, "per_image": per_image}

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            return lovasz_softmax_loss(part.logits, part.labels, part.channels_of(None), **self.options)

        return {"lovasz_softmax": self.weight * dense_loss(output, targets, loss)}
