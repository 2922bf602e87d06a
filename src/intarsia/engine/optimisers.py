"""Parameter groups and optimisers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from intarsia.core.errors import OptionError
from intarsia.engine.schedules import SCHEDULES, momentum_of_one_cycle
from intarsia.engine.stages import rate_factors

if TYPE_CHECKING:
    from torch import nn

    from intarsia.engine.options import TrainOptions

__all__ = ["make_optimiser", "parameter_groups", "set_rate", "set_schedule"]


def parameter_groups(network: nn.Module, options: TrainOptions) -> list[dict[str, Any]]:
    """Parameters by the `factor` of their learning rate (`rate_factors`), each with and without weight decay; vectors (biases,
    norms) do not decay. What learns at factor 0 is left out; what is frozen for some epochs is there from the start.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    factors = rate_factors(network, options)
    for name, parameter in network.named_parameters():
        if factors[name] > 0:
            decay = options.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factors[name], decay), []).append(parameter)
    if not groups:
        raise OptionError("--encoder-lr-factor", expected="parameters to train", received="none", hint="Use a value above 0.")
    return [
        {"params": parameters, "factor": factor, "weight_decay": decay, "lr": options.lr * factor}
        for (factor, decay), parameters in groups.items()
    ]


def make_optimiser(network: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """The optimiser that `options` names, over `parameter_groups`."""
    groups = parameter_groups(network, options)
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=options.momentum, nesterov=options.momentum > 0)
    make = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return make(groups, betas=(options.momentum, 0.999))


def set_schedule(optimiser: torch.optim.Optimizer, options: TrainOptions, done: float) -> float:
    """Sets the learning rate, and with one-cycle the momentum, after the share `done` of the training; returns the rate."""
    rate = options.lr * SCHEDULES[options.schedule](done, options.warmup)
    turning = options.schedule == "one_cycle" and options.momentum
    set_rate(optimiser, rate, momentum_of_one_cycle(done, options.warmup) if turning else None)
    return rate


def set_rate(optimiser: torch.optim.Optimizer, rate: float, momentum: float | None = None) -> None:
    """Every group's learning rate, times its own factor; and its momentum or first beta where one is given."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None and "momentum" in group:
            group["momentum"] = momentum
