"""Tversky loss (Salehi et al. 2017, arXiv 1706.05721) and focal Tversky loss (Abraham and Khan 2018, arXiv 1810.07842)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.losses._class_sums import ClassSums, class_sums
from intarsia.losses._dense import dense_loss
from intarsia.losses._labels import mean_of_classes
from intarsia.losses._options import AMOUNT, AT_LEAST_ONE, SWITCH, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output
    from intarsia.losses._dense import Part

__all__ = ["Tversky", "tversky_loss"]


def tversky_loss(
    logits: Tensor,
    labels: Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    smooth: float = 1.0,
    classes: Sequence[int] | None = None,
    *,
    present_only: bool = True,
    per_image: bool = False,
) -> Tensor:
    """(1 - (TP + s) / (TP + α FP + β FN + s)) ^ (1 / γ) for each class, averaged: β above α finds more of a small class.

    TP, FP and FN are sums of soft-max probabilities; α = β = 1/2 is Dice with twice its smooth term, α = β = 1 Jaccard. `gamma` 1
    is the Tversky loss (equation 4 of the first paper); above it the focal one (equation 4 of the second, which has α and β the
    other way round and finds 4/3 best). Shapes, void, `classes`, `present_only` and `per_image` as in `dice_loss`. Raises
    OptionError for γ below 1 and for α, β or a smooth term below 0, InvalidNoun as `dice_loss` does.

    >>> import torch
    >>> logits = torch.tensor([[[[99.0, 99.0]], [[0.0, 0.0]]]])  # class 0 twice
    >>> labels = torch.tensor([[[0, 1]]])  # class 0: 1 - 2 / 2.3, class 1: 1 - 1 / 1.7
    >>> round(float(tversky_loss(logits, labels)), 4)
    0.2711
    """
    _check_terms(alpha, beta, gamma, smooth)
    return _from_sums(class_sums(logits, labels), classes, alpha, beta, gamma, smooth, present_only, per_image)


def _from_sums(
    sums: ClassSums,
    classes: Sequence[int] | None,
    alpha: float,
    beta: float,
    gamma: float,
    smooth: float,
    present_only: bool,
    per_image: bool,
) -> Tensor:
    sums = sums if per_image else sums.over_batch()  # (B or 1, C) each
    false_positives, false_negatives = sums.predicted - sums.right, sums.counts - sums.right
    tiny = 1e-7  # a root has no slope at 0, and a class neither there nor predicted no sets
    whole = (sums.right + alpha * false_positives + beta * false_negatives + smooth).clamp(min=tiny)
    losses = 1 - (sums.right + smooth) / whole
    if gamma > 1:
        losses = losses.clamp(min=tiny) ** (1 / gamma)
    return mean_of_classes(losses, sums.counts, present_only=present_only, classes=classes)


def _check_terms(alpha: float, beta: float, gamma: float, smooth: float) -> None:
    check("tversky", alpha=(alpha, AMOUNT), beta=(beta, AMOUNT), gamma=(gamma, AT_LEAST_ONE), smooth=(smooth, AMOUNT))


class Tversky:
    """`tversky_loss` of a Dense output, times `weight`.

    >>> import torch
    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: round(float(value), 4) for name, value in Tversky()(Dense(torch.zeros(1, 2, 2, 2)), targets).items()}  # 1 - 3 / 4.4
    {'tversky': 0.3182}
    """

    def __init__(
        self,
        weight: float = 1.0,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 1.0,
        smooth: float = 1.0,
        present_only: bool = True,
        per_image: bool = False,
    ) -> None:
        _check_terms(alpha, beta, gamma, smooth)
        check("tversky", present_only=(present_only, SWITCH), per_image=(per_image, SWITCH))
        self.weight = weight
        self.options = alpha, beta, gamma, smooth, present_only, per_image

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""

        def loss(part: Part) -> Tensor:
            return _from_sums(part.sums, part.channels_of(None), *self.options)

        return {"tversky": self.weight * dense_loss(output, targets, loss)}
