"""A weighted sum of losses of this family."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find
from intarsia.core.errors import OptionError
from intarsia.core.output import Dense
from intarsia.losses._dense import at_label_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["WeightedSum"]


class WeightedSum:
    """Each loss by name, times its weight; `class_weights` go to those that take them. The terms stay apart, to be logged.

    >>> WeightedSum({"cross_entropy": 1.0, "dice": 0.5})
    WeightedSum(cross_entropy x 1.0 + dice x 0.5)
    """

    def __init__(self, weights: Mapping[str, float] | None = None, class_weights: Sequence[float] | None = None) -> None:
        self.weights = dict({"cross_entropy": 1.0, "dice": 1.0} if weights is None else weights)
        if not self.weights or min(self.weights.values()) < 0:
            raise OptionError("loss weights", expected="at least one loss, none with a weight below 0", received=self.weights)
        self.losses = []
        for name, weight in self.weights.items():
            loss = find("losses", name)
            options: dict[str, Any] = {"class_weights": class_weights} if "class_weights" in signature(loss).parameters else {}
            self.losses.append(loss(weight=weight, **options))

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """Every weighted term under its name; what is trained is their sum."""
        if isinstance(output, Dense):
            output = at_label_size(output, targets)
        return {name: value for loss in self.losses for name, value in loss(output, targets).items()}

    def __repr__(self) -> str:
        return f"WeightedSum({' + '.join(f'{name} x {weight}' for name, weight in self.weights.items())})"
