"""What a killed run needs to go on as if it had never been killed: one file, written whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from intarsia.engine.checkpoint import read_tensors, write_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from intarsia.engine.options import TrainOptions

__all__ = ["Progress", "load_state", "save_state"]


@dataclass
class Progress:
    """How far a training has come; plain values that fit into JSON."""

    epoch: int = 0
    """The epoch under way."""
    step: int = 0
    """Its steps done."""
    loss_sum: float = 0.0
    """The sum of the losses of these steps."""
    half: bool = True
    """Whether the epoch runs at half size; once it does not, none does."""
    best: float = -1.0
    """The best mean IoU so far."""
    stale: int = 0
    """Evaluations since then."""
    rows: list[dict[str, float]] = field(default_factory=list)
    """What metrics.csv holds."""
    processes: int = 1
    """How many trained together; another number would be another training."""
    seconds: float = 0.0
    """Time spent, over all resumes."""
    trained: float = 0.0
    """Of it that of the training steps, without evaluations and checkpoints."""
    unpredicted: list[list[str]] = field(default_factory=list)
    """For each evaluation, the classes that no answer held though the truth did."""
    told: dict[str, str] = field(default_factory=dict)
    """What the watch has told, by kind."""

    def done(self, options: TrainOptions, steps: int) -> float:
        """The share of the training done, 0..1: by steps, or by their time where `minutes` are given and that is more."""
        by_steps = (self.epoch * steps + self.step) / (options.epochs * steps)
        return by_steps if options.minutes is None else min(max(by_steps, self.trained / (60 * options.minutes)), 1.0)


def save_state(
    path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, progress: Progress, scaler: Any = None
) -> None:
    """Modules by name, the optimiser's tensors, the random state and the progress, in one file without pickle."""
    tensors: dict[str, Tensor] = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{key}": value for key, value in values.items() if isinstance(value, torch.Tensor)}
    write_tensors(path, tensors, {"progress": asdict(progress), "scaler": scaler.state_dict() if scaler else None})


def load_state(path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, scaler: Any = None) -> Progress:
    """Puts everything back where `save_state` took it from."""
    tensors, header = read_tensors(path)
    for name, module in modules.items():
        prefix = f"{name}/"
        module.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser/"):
            _, index, name = key.split("/")
            like = parameters[int(index)]
            # The memory format of the parameter too: vectorised and strided loops may round differently.
            state.setdefault(int(index), {})[name] = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng.cuda"])
    if scaler and header["scaler"]:
        scaler.load_state_dict(header["scaler"])
    return Progress(**header["progress"])
