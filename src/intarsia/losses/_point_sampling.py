"""Pixels at which masks are trained, drawn where a mask is least sure of itself (PointRend, Kirillov et al. 2020, arXiv 1912.08193,
section 3.2), and what a coarser map says there.

Points are pixels of the labels, by their place in the flattened image, so that a label is looked up and never interpolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["drawn", "uncertain", "values_at"]


def drawn(rows: int, count: int, size: Sequence[int], device: torch.device) -> Tensor:
    """(rows, count) random pixels of an image of `size`; where it has no more than that, (rows, pixels), each of them once."""
    pixels = torch.Size(size).numel()
    if count >= pixels:
        return torch.arange(pixels, device=device).expand(rows, -1)
    return torch.randint(pixels, (rows, count), device=device)


def values_at(maps: Tensor, points: Tensor, size: Sequence[int]) -> Tensor:
    """(B, K, *s) maps of an image of `size` *S at the pixels (B, n) -> (B, K, n), linear as torch's `interpolate`.

    >>> values_at(torch.tensor([[[[0.0, 8.0]]]]), torch.tensor([[0, 1, 2, 3]]), (1, 4)).tolist()
    [[[0.0, 2.0, 6.0, 8.0]]]
    """
    flat = points[:, None].expand(-1, maps.shape[1], -1)  # (B, K, n)
    if maps.shape[2:] == torch.Size(size):
        return maps.flatten(2).gather(2, flat)
    exact = torch.float32 if points.device.type == "mps" else torch.float64  # which mps has not; enough for 4096x4096 pixels
    rest, shares = points.to(exact), []  # whole numbers are divided slowly
    for length in reversed(size):  # x first
        place = rest - length * (longer := ((rest + 0.5) / length).floor())
        shares.append(((2 * place + 1) / length - 1).to(maps.dtype))  # (B, n), -1 and 1 at the borders
        rest = longer
    grid = torch.stack(shares, dim=2).view(*points.shape, *[1] * (len(size) - 1), len(size))  # (B, n, 1, d) or (B, n, 1, 1, d)
    return grid_sample(maps, grid, padding_mode="border", align_corners=False).flatten(2)


def uncertain(
    maps: Tensor,
    count: int,
    size: Sequence[int],
    known_at: Callable[[Tensor], Tensor],
    *,
    oversample: float,
    importance: float,
) -> Tensor:
    """(M, count) pixels for each of the logit maps (M, *s): the share `importance` is, of `oversample` times as many random ones,
    those whose logits are nearest to 0, the rest random; in an image of no more pixels each once.

    `known_at` tells of pixels (M, n) whether they have a label; those without come last.
    """
    pixels = torch.Size(size).numel()
    if count >= pixels:
        return drawn(len(maps), count, size, maps.device)
    many = torch.randint(pixels, (len(maps), int(count * oversample)), device=maps.device)
    chosen = int(importance * count)
    doubt = -values_at(maps[:, None], many, size)[:, 0].abs()  # (M, n)
    doubt = doubt.masked_fill(~known_at(many), -torch.inf)
    hard = many.gather(1, doubt.topk(chosen, dim=1, sorted=False).indices)
    return torch.cat([hard, torch.randint(pixels, (len(maps), count - chosen), device=maps.device)], dim=1)
