"""Hausdorff-distance loss by distance transforms (Karimi and Salcudean 2019, arXiv 1904.10030), as a function and as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.losses._dense import dense_loss
from intarsia.losses._distances import interface_distances
from intarsia.losses._labels import class_shares, known_only, label_counts
from intarsia.losses._options import POSITIVE, SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["Hausdorff", "hausdorff_loss"]


def hausdorff_loss(
    logits: Tensor, labels: Tensor, alpha: float = 2.0, classes: Sequence[int] | None = None, *, present_only: bool = True
) -> Tensor:
    """The mean over labelled pixels of (p_c - g_c)² (d_p^α + d_g^α), equation 8, over the classes of each image, then the images.

    d_g is a pixel's distance to the boundary of class c in the labels, d_p to that of p_c > 1/2, made anew for each prediction, on
    the CPU, and without a gradient of its own; so errors far from the boundary weigh most. In pixels ^ α: it goes beside an overlap
    loss, with a small weight. `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, which neither counts nor is anything's
    boundary. `classes`, `present_only` and InvalidNoun as in `dice_loss`. Raises OptionError unless α is above 0.

    >>> logits = torch.tensor([[[[99.0, 99.0, 99.0]], [[0.0, 0.0, 0.0]]]])  # class 0 thrice, so that d_p is 0
    >>> round(float(hausdorff_loss(logits, torch.tensor([[[0, 0, 1]]]))), 4)  # one wrong pixel, at 1, of three
    0.3333
    """
    check("hausdorff", alpha=(alpha, POSITIVE))
    logits, labels = known_only(logits, labels)
    channels = logits.shape[1]
    probabilities = logits.softmax(dim=1)
    counts = label_counts(labels, channels)  # (B, C)
    shares = class_shares(counts, present_only=present_only, classes=classes).to(logits.dtype)
    shares = shares / counts.sum(dim=1, keepdim=True).clamp(min=1)
    known = labels >= 0
    total = 0 * probabilities.flatten()[0]  # without classes a loss still has a gradient, 0
    for channel in shares.sum(dim=0).nonzero().flatten().tolist():
        truth, chance = labels == channel, probabilities[:, channel]  # (B, *S)
        weights = interface_distances(truth, known) ** alpha + interface_distances(chance.detach() > 0.5, known) ** alpha
        errors = (chance - truth.to(chance.dtype)).square() * weights.to(chance.dtype)
        total = total + torch.dot(errors.flatten(1).sum(dim=1), shares[:, channel])
    return total


class Hausdorff:
    """`hausdorff_loss` of a Dense output, times `weight`.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.tensor([[[[1, 1, 2]]]]), torch.tensor([[0, 1]]), torch.zeros(1, 2, dtype=torch.bool), 2)
    >>> loss = Hausdorff()(Dense(torch.zeros(1, 2, 1, 3)), targets)  # (4 + 1 + 1) / 4 / 3
    >>> {name: round(float(value), 4) for name, value in loss.items()}
    {'hausdorff': 0.5}
    """

    def __init__(self, weight: float = 1.0, alpha: float = 2.0, present_only: bool = True) -> None:
        check("hausdorff", alpha=(alpha, POSITIVE), present_only=(present_only, SWITCH))
        self.weight = weight
        self.alpha = alpha
        self.present_only = present_only

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            return hausdorff_loss(part.logits, part.labels, self.alpha, part.channels_of(None), present_only=self.present_only)

        return {"hausdorff": self.weight * dense_loss(output, targets, loss)}
