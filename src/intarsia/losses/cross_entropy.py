"""Cross-entropy with class weights, label smoothing, and the hardest pixels alone (top-k, OHEM), as a function and as a loss."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from intarsia.core.errors import InvalidNoun, OptionError
from intarsia.losses._class_sums import ClassSums, class_sums
from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import check_sizes, known_only
from intarsia.losses._options import SHARE, SMOOTHING, WEIGHTS, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["CrossEntropy", "cross_entropy_loss"]


def cross_entropy_loss(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | Sequence[float] | None = None,
    *,
    smoothing: float = 0.0,
    keep: float = 1.0,
    threshold: float | None = None,
    min_keep: float = 0.1,
) -> Tensor:
    """The mean of -w_y log softmax(logits)_y over the pixels that have a label, weighted by w_y; 0 where none has.

    `logits` (B, C, *S), `labels` (B, *S) int64 with -1 for void, `class_weights` (C,). A label of C or more counts as void.
    `smoothing` e trains towards 1 - e + e / C for the true class and e / C for the others (Szegedy et al., arXiv 1512.00567,
    section 7). Hard pixels alone, over the batch, hardest being the least probability of the true class:
    `keep` k takes the share k of the labelled pixels that is hardest (top-k, Wu et al., arXiv 1605.06885);
    `threshold` t takes those whose true class has a probability below t, and at least the share `min_keep` (OHEM, Shrivastava et
    al., arXiv 1604.03540, as segmentation uses it). Shares are rounded up to whole pixels.
    Raises InvalidNoun for another number of class weights and for sizes that do not fit, OptionError for shares outside 0..1 and
    for both kinds of choice.

    >>> round(float(cross_entropy_loss(torch.zeros(1, 4, 1, 2), torch.tensor([[[3, -1]]]))), 4)  # log 4
    1.3863
    """
    _check_choice(smoothing, keep, threshold, min_keep)
    check_sizes(logits, labels)
    weights = _weights(class_weights, logits)
    if not smoothing and keep == 1 and threshold is None:
        return _from_sums(class_sums(logits, labels), weights)
    logits, labels = known_only(logits, labels)
    losses = functional.cross_entropy(
        logits, labels, weights, ignore_index=-1, reduction="none", label_smoothing=smoothing
    )  # (B, *S)
    known = labels >= 0
    share = known.to(losses.dtype) if weights is None else weights[labels.clamp(min=0)] * known  # (B, *S)
    if keep < 1 or threshold is not None:
        chosen = _hardest(logits.detach(), labels, keep, threshold, min_keep)
        losses, share = losses.flatten()[chosen], share.flatten()[chosen]  # (B, *S) -> (n)
    return losses.sum() / share.sum().clamp(min=torch.finfo(losses.dtype).tiny)


def _from_sums(sums: ClassSums, weights: Tensor | None) -> Tensor:
    """The mean over all labelled pixels."""
    weights = torch.ones_like(sums.counts[0]) if weights is None else weights  # (C)
    return -(sums.log_right * weights).sum() / (sums.counts * weights).sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _hardest(logits: Tensor, labels: Tensor, keep: float, threshold: float | None, min_keep: float) -> Tensor:
    """(n) the chosen ones among the pixels of the batch."""
    surprise = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="none").flatten()  # (B, *S) -> (B·S), -log p_y
    known = (labels >= 0).flatten()
    surprise = surprise.where(known, -1)  # below all
    pixels = int(known.sum())
    count = -int(-pixels * (keep if threshold is None else min_keep) // 1)  # rounded up
    if threshold is not None:
        count = max(count, int((surprise > -log(threshold)).sum()))
    return surprise.topk(min(count, pixels), sorted=False).indices


def _weights(class_weights: Tensor | Sequence[float] | None, logits: Tensor) -> Tensor | None:
    """(C) on the logits' device."""
    if class_weights is None:
        return None
    dtype = torch.promote_types(logits.dtype, torch.float32)
    weights = torch.as_tensor(class_weights, dtype=dtype, device=logits.device)
    if len(weights) != logits.shape[1]:
        raise InvalidNoun("class_weights", expected=f"{logits.shape[1]} numbers, one for each channel", received=len(weights))
    return weights


def _check_choice(smoothing: float, keep: float, threshold: float | None, min_keep: float) -> None:
    least = 1 if threshold is None else threshold
    check(
        "cross_entropy", smoothing=(smoothing, SMOOTHING), keep=(keep, SHARE), threshold=(least, SHARE), min_keep=(min_keep, SHARE)
    )
    if keep < 1 and threshold is not None:
        raise OptionError("cross_entropy", expected="keep or threshold", received=f"keep={keep} and threshold={threshold}")


class CrossEntropy:
    """`cross_entropy_loss` of a Dense output, times `weight`.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in CrossEntropy()(Dense(torch.zeros(1, 2, 1, 1)), targets).items()}  # log 2
    {'cross_entropy': 0.6931}
    """

    def __init__(
        self,
        weight: float = 1.0,
        class_weights: Sequence[float] | None = None,
        smoothing: float = 0.0,
        keep: float = 1.0,
        threshold: float | None = None,
        min_keep: float = 0.1,
    ) -> None:
        _check_choice(smoothing, keep, threshold, min_keep)
        check("cross_entropy", class_weights=(class_weights, WEIGHTS))
        self.weight = weight
        self.class_weights = class_weights
        self.smoothing = smoothing
        self.keep = keep
        self.threshold = threshold
        self.min_keep = min_keep

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            weights = part.by_channel("class_weights", self.class_weights)
            if not self.smoothing and self.keep == 1 and self.threshold is None:
                return _from_sums(part.sums, _weights(weights, part.logits))
            return cross_entropy_loss(
                part.logits,
                part.labels,
                weights,
                smoothing=self.smoothing,
                keep=self.keep,
                threshold=self.threshold,
                min_keep=self.min_keep,
            )

        return {"cross_entropy": self.weight * dense_loss(output, targets, loss)}
