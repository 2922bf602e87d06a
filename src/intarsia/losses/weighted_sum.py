"""A weighted sum of losses of this family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from intarsia.core.catalogue import find
from intarsia.core.errors import OptionError, check_names, nearest
from intarsia.core.output import Dense, Regions
from intarsia.losses._dense import AUX_WEIGHT, prepared
from intarsia.losses._options import AMOUNT, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["WeightedSum"]


class WeightedSum:
    """Each loss by name, times its weight; the terms stay apart, to be logged.

    `class_weights` and `things`, the indices of the countable classes, go to the losses that take them, `options` to each loss by
    its name. Auxiliary outputs count `aux_weight`, or
    each its own of several (deep supervision). `groups` are class indices, as `ClassSet.group_indices` gives them: with more
    than one, each is a soft-max of its own with "none of these" beside it, a group of one class so a sigmoid, and each term is the
    mean over the groups. Raises OptionError for an unknown loss or option, for weights below 0, and for class weights that no loss
    takes.

    >>> WeightedSum({"cross_entropy": 1.0, "dice": 0.5}, options={"dice": {"smooth": 0.0}})
    WeightedSum(cross_entropy x 1.0 + dice x 0.5)
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        class_weights: Sequence[float] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        aux_weight: float | Sequence[float] = AUX_WEIGHT,
        groups: Sequence[Sequence[int]] = (),
        things: Sequence[int] | None = None,
    ) -> None:
        self.weights = dict({"cross_entropy": 1.0, "dice": 1.0} if weights is None else weights)
        if "weighted_sum" in self.weights:
            raise OptionError("loss weights", expected="the losses of the sum", received="weighted_sum, which is the sum itself")
        if not self.weights or not all(map(AMOUNT.holds, self.weights.values())):
            raise OptionError("loss weights", expected="at least one loss, none with a weight below 0", received=self.weights)
        if not (AMOUNT.holds(aux_weight) or WEIGHTS.holds(aux_weight)):
            raise OptionError("aux_weight", expected="numbers of at least 0", received=repr(aux_weight))
        self.aux_weight = aux_weight
        self.groups = tuple(tuple(group) for group in groups)
        chosen = dict(options or {})
        for name in chosen:
            if name not in self.weights:
                raise OptionError(f"options of loss {name!r}", expected="a loss of the sum", hint=nearest(name, self.weights))
        takers = [name for name in self.weights if "class_weights" in _options_of(name)]
        if class_weights is not None and not takers:
            known = "a loss that takes them, such as cross_entropy"
            raise OptionError("--class-weights", expected=known, received=", ".join(self.weights))
        general = {"class_weights": class_weights, "things": things}
        self.losses = [_made(name, weight, chosen.get(name, {}), general) for name, weight in self.weights.items()]

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """Every weighted term under its name; what is trained is their sum."""
        if isinstance(output, Dense):
            output = self._prepared(output, targets)
        elif isinstance(output, Regions) and output.semantic is not None:
            output = replace(output, semantic=self._prepared(output.semantic, targets))
        return {name: value for loss in self.losses for name, value in loss(output, targets).items()}

    def _prepared(self, output: Dense, targets: Targets) -> Dense:
        """What all losses of dense outputs share, made once."""
        return prepared(output, targets, groups=self.groups, aux_weight=self.aux_weight)

    def __repr__(self) -> str:
        return f"WeightedSum({' + '.join(f'{name} x {weight}' for name, weight in self.weights.items())})"


def _made(name: str, weight: float, options: Mapping[str, Any], general: Mapping[str, Any]) -> Any:
    """The loss of that name, with what it takes of the `general` options that all are offered."""
    known = _options_of(name)
    if not isinstance(options, Mapping):
        raise OptionError(f"options of loss {name!r}", expected="values by name", received=repr(options))
    check_names(f"loss {name!r}", options, known, "its own options")
    offered = {option: value for option, value in general.items() if option in known}
    return find("losses", name)(weight=weight, **offered | dict(options))


def _options_of(name: str) -> list[str]:
    """What the loss of that name takes beside its weight."""
    return [option for option in signature(find("losses", name)).parameters if option != "weight"]
