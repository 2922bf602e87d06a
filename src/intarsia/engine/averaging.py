"""The exponential moving average of a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

__all__ = ["averaged"]


def averaged(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel | None:
    """The exponential moving average of the weights and buffers; the decay grows from 0.1 so that the first steps count less.

    None where the decay is 0.
    """
    if not decay:
        return None

    def average(means: Any, news: Any, count: Any) -> None:
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        if torch.is_floating_point(means[0]):
            torch._foreach_lerp_(means, news, 1 - kept)
        else:
            torch._foreach_copy_(means, news)

    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
