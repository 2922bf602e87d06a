"""Where the objects of Targets lie, on the grid of a network's answer: what the losses of centres and of offsets are taught."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from intarsia.losses._labels import among
from intarsia.ops.cells import middles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets

__all__ = ["Placed", "placed"]


class Placed(NamedTuple):
    """The objects of a batch on a grid of size s."""

    rows: Tensor
    """(B, *s) int64, the row of each cell + 1, read at its middle; 0 nothing, -1 void."""
    centres: Tensor
    """(B, N, d) centre of mass of each row, in cells: 0 is the middle of the first one."""
    objects: Tensor
    """(B, N) bool: things that have pixels and are no crowd."""
    crowd: Tensor
    """(B, N) bool."""

    def of_rows(self, table: Tensor) -> Tensor:
        """The entries (B, *s, ...) of a table (B, N, ...) at the rows of the cells; of the first row where there is none."""
        batch, size = len(self.rows), self.rows.shape[1:]
        index = (self.rows - 1).clamp(min=0).flatten(1)  # (B, cells)
        picked = table[torch.arange(batch, device=table.device)[:, None], index]  # (B, cells, ...)
        return picked.view(batch, *size, *table.shape[2:])

    def within(self, flags: Tensor) -> Tensor:
        """(B, *s) bool: the cells of the rows that `flags` (B, N) marks."""
        return self.of_rows(flags) & (self.rows > 0) if flags.shape[1] else torch.zeros_like(self.rows, dtype=torch.bool)


def placed(targets: Targets, size: Sequence[int], things: Sequence[int] | None, *, align_corners: bool = False) -> Placed:
    """The objects of `targets` on a grid of `size`; `things` are the classes of objects, None means all.

    Where layers overlap the later row is seen, as in `Targets.semantic`, and only seen pixels make the centre of mass.
    """
    whole = targets.ids.shape[2:]
    dims, (batch, rows) = len(whole), targets.classes.shape
    top = targets.view("top", lambda: _top(targets.ids))  # (B, *S)
    sums = targets.view("centre sums", lambda: _sums(top, rows))  # (B, N, 1 + d)
    mass = (sums[..., 1:] / sums[..., :1].clamp(min=1)).float()  # (B, N, d), in pixels, 0 the middle of the first one
    steps, starts, seen = [], [], top
    for axis in range(dims):
        start, step = middles(size[axis], whole[axis], align_corners=align_corners)
        places = (start + step * torch.arange(size[axis], device=top.device) + 0.5).long()  # the pixel that a cell's middle is in
        seen = seen.index_select(1 + axis, places)
        steps.append(step or 1.0)  # one pixel of many cells
        starts.append(start)
    centres = (mass - mass.new_tensor(starts)) / mass.new_tensor(steps)
    countable = targets.classes >= 0
    if things is not None:
        listed = among(things, targets.classes.new_empty((batch, targets.num_classes)))  # (C)
        countable &= listed[targets.classes.clamp(min=0)]
    return Placed(seen.long(), centres, countable & ~targets.crowd & (sums[..., 0] > 0), targets.crowd)


def _top(ids: Tensor) -> Tensor:
    """(B, L, *S) -> (B, *S): the last row that is here, -1 void."""
    first = ids[:, 0]
    return first if ids.shape[1] == 1 else ids.amax(dim=1).where(first >= 0, first)


def _sums(top: Tensor, rows: int) -> Tensor:
    """(B, N, 1 + d) int64: the pixels of each row, and the sums of their places along each axis."""
    batch, size = len(top), top.shape[1:]
    index = (top.long() + 1).flatten(1) + (rows + 2) * torch.arange(batch, device=top.device)[:, None]  # (B, pixels)
    axes = torch.meshgrid(*(torch.arange(length, device=top.device) for length in size), indexing="ij")
    totals = [
        index.new_zeros(batch * (rows + 2)).scatter_add_(0, index.flatten(), column.flatten().repeat(batch))
        for column in (torch.ones_like(axes[0]), *axes)
    ]
    return torch.stack(totals, dim=-1).view(batch, rows + 2, 1 + len(size))[:, 2:]
