"""Boundary loss (Kervadec et al. 2019, arXiv 1812.07032), as a function and as a loss.

The signed distances are of the labels alone, so all levels of an output share them: they are made for all classes at once, on the
CPU, and kept as float32, an array of the logits' size. Where levels are one, class by class would take a C-th of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.losses._dense import dense_loss
from intarsia.losses._distances import signed_distances
from intarsia.losses._labels import class_shares, known_only, label_counts
from intarsia.losses._options import SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["Boundary", "boundary_loss"]


def boundary_loss(
    logits: Tensor,
    labels: Tensor,
    distances: Tensor | None = None,
    classes: Sequence[int] | None = None,
    *,
    present_only: bool = True,
) -> Tensor:
    """The mean over labelled pixels of φ_c p_c (equation 5), over the classes of each image, then over the images; in pixels.

    φ_c is the signed distance to the class's boundary, negative inside (as in the authors' code: 1 minus the distance), so the loss
    is least, and below 0, where the probabilities are the labels. Far errors weigh most and the outline itself nothing, so it goes
    beside an overlap loss, with a small weight. `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, which neither counts
    nor is anything's boundary. `distances` (B, C, *S) are those of the labels, where they were made already. `classes`,
    `present_only` and the errors as in `dice_loss`.

    >>> logits = torch.tensor([[[[99.0, 99.0, 99.0]], [[0.0, 0.0, 0.0]]]])  # class 0 thrice
    >>> float(boundary_loss(logits, torch.tensor([[[0, 1, 1]]])))  # φ_0 is 0, 1, 2: 3/3, and class 1 nowhere
    0.5
    """
    logits, labels = known_only(logits, labels)
    channels = logits.shape[1]
    maps = signed_distances(labels, channels) if distances is None else distances  # (B, C, *S)
    probabilities = logits.softmax(dim=1)
    counts = label_counts(labels, channels)  # (B, C)
    shares = class_shares(counts, present_only=present_only, classes=classes) / counts.sum(dim=1, keepdim=True).clamp(min=1)
    moments = torch.einsum("bcs,bcs->bc", probabilities.flatten(2), maps.flatten(2).to(logits.dtype))  # without their product
    return (moments * shares).sum()


class Boundary:
    """`boundary_loss` of a Dense output, times `weight`.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.tensor([[[[1, 2, 2]]]]), torch.tensor([[0, 1]]), torch.zeros(1, 2, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in Boundary()(Dense(torch.zeros(1, 2, 1, 3)), targets).items()}
    {'boundary': 0.25}
    """

    def __init__(self, weight: float = 1.0, present_only: bool = True) -> None:
        check("boundary", present_only=(present_only, SWITCH))
        self.weight = weight
        self.present_only = present_only

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            distances = part.view("signed distances", signed_distances)
            return boundary_loss(part.logits, part.labels, distances, part.channels_of(None), present_only=self.present_only)

        return {"boundary": self.weight * dense_loss(output, targets, loss)}
