"""Which query answers for which object: the cheapest one-to-one choice (Carion et al. 2020, arXiv 2005.12872, equation 1), with the
costs of Mask2Former (arXiv 2112.01527, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import softplus

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["assigned", "class_costs", "mask_costs"]


def class_costs(logits: Tensor, rows: Tensor) -> Tensor:
    """(B, Q, N) less the probability that each query of class logits (B, Q, C+1) gives to the class of each row (B, N)."""
    index = rows.clamp(min=0)[:, None].expand(-1, logits.shape[1], -1)  # (B, Q, N)
    return -logits.softmax(dim=2).gather(2, index)


def mask_costs(logits: Tensor, masks: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Twice (B, Q, N), the mean binary cross-entropy and the Dice loss, smoothed by 1, of each query's mask logits (B, Q, n) with
    each row's mask (B, N, n) at n points, of which those `known` (B, n) count; elsewhere no mask may be.

    >>> costs = mask_costs(torch.tensor([[[9.0, -9.0]]]), torch.tensor([[[True, False]]]), torch.ones(1, 2).bool())
    >>> [round(float(cost), 3) for cost in costs]
    [0.0, 0.0]
    """
    known, masks = known[:, None].to(logits.dtype), masks.to(logits.dtype).transpose(1, 2)  # (B, 1, n), (B, n, N)
    shares = logits.sigmoid() * known
    count = known.sum(dim=2, keepdim=True).clamp(min=1)  # (B, 1, 1)
    # -log sigmoid(x) where the mask is and -log sigmoid(-x) elsewhere: softplus(x), less x where the mask is
    entropy = ((softplus(logits) * known).sum(dim=2, keepdim=True) - logits @ masks) / count  # (B, Q, N)
    total = shares.sum(dim=2, keepdim=True) + masks.sum(dim=1, keepdim=True)  # (B, Q, N)
    return entropy, 1 - (2 * shares @ masks + 1) / (total + 1)


def assigned(costs: Tensor, objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three of (M,): image, query and row of each match, of costs (B, Q, N) and the rows (B, N) that are `objects`.

    Each object gets a query, as long as there are any. A cost that is no number is the highest.
    """
    wanted = objects.cpu().numpy()
    table = np.nan_to_num(costs.detach().float().cpu().numpy(), nan=np.inf)
    table = np.clip(table, -1e30, 1e30)  # scipy takes no infinity
    found = [np.zeros((3, 0), np.int64)]
    for image, (each, rows) in enumerate(zip(table, wanted, strict=True)):
        places = np.flatnonzero(rows)
        query, place = linear_sum_assignment(each[:, places])
        found.append(np.stack([np.full_like(query, image), query, places[place]]))
    image_, query_, row_ = torch.from_numpy(np.concatenate(found, axis=1)).to(costs.device)
    return image_, query_, row_
