"""Boundary loss (Kervadec et al. 2019, arXiv 1812.07032), as a function and as a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.losses._dense import dense_loss
from intarsia.losses._distances import signed_distances
from intarsia.losses._labels import at_least_float32, class_shares, known_labels, label_counts

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["Boundary", "boundary_loss"]


def boundary_loss(logits: Tensor, labels: Tensor, distances: Tensor | None = None, *, present_only: bool = True) -> Tensor:
    """The mean over labelled pixels of φ_c p_c (equation 5), over the classes of each image, then over the images; in pixels.

    φ_c is the signed distance to the class's boundary, negative inside (as in the authors' code: 1 minus the distance), so the loss
    is least, and below 0, where the probabilities are the labels. Far errors weigh most and the outline itself nothing, so it goes
    beside an overlap loss, with a small weight. `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, which neither counts
    nor is anything's boundary. `distances` (B, C, *S) are those of the labels, where they were made already. `present_only` as in
    `dice_loss`.

    >>> logits = torch.tensor([[[[99.0, 99.0, 99.0]], [[0.0, 0.0, 0.0]]]])  # class 0 thrice
    >>> float(boundary_loss(logits, torch.tensor([[[0, 1, 1]]])))  # φ_0 is 0, 1, 2: 3/3, and class 1 nowhere
    0.5
    """
    logits = at_least_float32(logits).contiguous()
    channels = logits.shape[1]
    labels = known_labels(labels, channels)
    maps = signed_distances(labels, channels) if distances is None else distances  # (B, C, *S)
    probabilities = logits.softmax(dim=1)
    counts = label_counts(labels, channels)  # (B, C)
    shares = class_shares(counts, present_only=present_only) / counts.sum(dim=1, keepdim=True).clamp(min=1)
    total = probabilities.new_zeros(()) + 0 * probabilities.flatten()[0]  # without classes a loss still has a gradient, 0
    for image, channel in shares.nonzero().tolist():
        moments = torch.dot(probabilities[image, channel].flatten(), maps[image, channel].flatten().to(logits.dtype))
        total = total + shares[image, channel] * moments
    return total


class Boundary:
    """`boundary_loss` of a Dense output, times `weight`.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.tensor([[[[1, 2, 2]]]]), torch.tensor([[0, 1]]), torch.zeros(1, 2, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in Boundary()(Dense(torch.zeros(1, 2, 1, 3)), targets).items()}
    {'boundary': 0.25}
    """

    def __init__(self, weight: float = 1.0, present_only: bool = True) -> None:
        self.weight = weight
        self.present_only = present_only

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            distances = part.view("signed distances", signed_distances)
            return boundary_loss(part.logits, part.labels, distances, present_only=self.present_only)

        return {"boundary": self.weight * dense_loss(output, targets, loss)}
