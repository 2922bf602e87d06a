"""The heat of object centres (Panoptic-DeepLab, Cheng et al. 2020, arXiv 1911.10194, section 3.3)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import torch

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense
from intarsia.losses._centres import placed
from intarsia.losses._labels import at_least_float32
from intarsia.losses._options import CLASSES, POSITIVE, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["Centre", "centre_heat", "centre_loss"]


def centre_heat(centres: Tensor, objects: Tensor, size: Sequence[int], sigma: float) -> Tensor:
    """(B, *s) exp(-r^2 / 2 sigma^2), r the distance in cells to the cell of the nearest centre; 0 beyond 3 sigma and where none is.

    `centres` (B, N, d) in cells, `objects` (B, N) bool says which of them count.

    >>> heat = centre_heat(torch.tensor([[[0.2, 1.4]]]), torch.tensor([[True]]), (1, 4), sigma=1.0)
    >>> [round(value, 2) for value in heat.flatten().tolist()]
    [0.61, 1.0, 0.61, 0.14]
    """
    batch, _, dims = centres.shape
    reach = ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, device=centres.device)
    window = torch.cartesian_prod(*[steps] * dims)  # (window, d)
    limits = torch.tensor(tuple(size), device=centres.device)
    middles = torch.minimum(centres.round().long().clamp(min=0), limits - 1)  # (B, N, d)
    cells = middles[:, :, None] + window  # (B, N, window, d)
    inside = ((cells >= 0) & (cells < limits)).all(dim=-1) & objects[..., None]  # (B, N, window)
    flat = torch.zeros(inside.shape, dtype=torch.long, device=centres.device)
    for axis, length in enumerate(size):
        flat = flat * length + cells[..., axis].clamp(0, length - 1)
    values = (window.square().sum(dim=-1) / (-2 * sigma**2)).exp().to(centres.dtype)  # (window)
    heat = centres.new_zeros((batch, int(limits.prod())))  # (B, cells)
    heat.scatter_reduce_(1, flat.flatten(1), (values * inside).flatten(1), "amax")
    return heat.view(batch, *size)


def centre_loss(centre: Tensor, heat: Tensor, known: Tensor) -> Tensor:
    """The mean squared difference of `centre` and `heat` (B, 1, *s) over the cells that are `known` (B, 1, *s); 0 where none is.

    >>> heat, known = torch.tensor([[[[1.0, 0.0, 0.0]]]]), torch.tensor([[[[True, True, False]]]])
    >>> float(centre_loss(torch.tensor([[[[0.0, 0.0, 9.0]]]]), heat, known))
    0.5
    """
    difference = (centre - heat).where(known, 0)
    return difference.square().sum() / known.sum().clamp(min=1)


class Centre:
    """`centre_loss` of the heat of a Dense output against Gaussians on the objects' centres of mass, times `weight`.

    `things` are the indices of the classes whose rows are objects, by default all; `sigma` is in cells of the output (the paper's 8
    pixels are 2 at stride 4). Cells of void and of crowds are not trained. Raises InvalidNoun for an output without centres.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 1, 1, dtype=torch.int8), torch.tensor([[0]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> {name: float(value) for name, value in Centre(200.0)(Dense(*torch.zeros(2, 1, 1, 1, 1)), targets).items()}
    {'centre': 200.0}
    """

    def __init__(self, weight: float = 1.0, things: Sequence[int] | None = None, sigma: float = 2.0) -> None:
        check("centre", things=(things, CLASSES), sigma=(sigma, POSITIVE))
        self.weight = weight
        self.things = things
        self.sigma = sigma

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""
        if not isinstance(output, Dense) or output.centre is None:
            raise InvalidNoun("centre loss", expected="a Dense output with a centre", received=type(output).__name__)
        centre = at_least_float32(output.centre)  # (B, 1, *s)
        size = centre.shape[2:]
        there = placed(targets, size, self.things, align_corners=output.align_corners)
        heat = centre_heat(there.centres, there.objects, size, self.sigma)[:, None]  # (B, 1, *s)
        known = ((there.rows >= 0) & ~there.within(there.crowd))[:, None]  # (B, 1, *s)
        return {"centre": self.weight * centre_loss(centre, heat, known)}
