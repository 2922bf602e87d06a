"""The way from each pixel to the centre of its object (Panoptic-DeepLab, Cheng et al. 2020, arXiv 1911.10194, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense
from intarsia.losses._centres import placed
from intarsia.losses._labels import at_least_float32
from intarsia.losses._options import CLASSES, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["Offset", "offset_loss"]


def offset_loss(offset: Tensor, wanted: Tensor, inside: Tensor) -> Tensor:
    """The mean absolute difference of `offset` and `wanted` (B, d, *s) over the cells `inside` objects (B, 1, *s); 0 where none is.

    >>> inside = torch.tensor([[[[True, False]]]])
    >>> float(offset_loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[[3.0, 9.0]], [[-1.0, 9.0]]]]), inside))
    2.0
    """
    difference = (offset - wanted).where(inside, 0)
    return difference.abs().sum() / (offset.shape[1] * inside.sum()).clamp(min=1)


class Offset:
    """`offset_loss` of a Dense output, in cells of its grid, times `weight`.

    `things` are the indices of the classes whose rows are objects, by default all. Only the cells of objects are trained, those of
    void and of crowds are not. Raises InvalidNoun for an output without offsets.

    >>> from intarsia.core import Dense, Targets
    >>> targets = Targets(torch.ones(1, 1, 1, 2, dtype=torch.int8), torch.tensor([[0]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> output = Dense(torch.zeros(1, 2, 1, 2), offset=torch.zeros(1, 2, 1, 2))
    >>> {name: float(value) for name, value in Offset()(output, targets).items()}  # down 0, right 0.5 and -0.5
    {'offset': 0.25}
    """

    def __init__(self, weight: float = 1.0, things: Sequence[int] | None = None) -> None:
        check("offset", things=(things, CLASSES))
        self.weight = weight
        self.things = things

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalar under its name."""
        if not isinstance(output, Dense) or output.offset is None:
            raise InvalidNoun("offset loss", expected="a Dense output with an offset", received=type(output).__name__)
        offset = at_least_float32(output.offset)  # (B, d, *s)
        size = offset.shape[2:]
        there = placed(targets, size, self.things, align_corners=output.align_corners)
        inside = there.within(there.objects)  # (B, *s)
        cells = torch.meshgrid(*(torch.arange(length, device=offset.device) for length in size), indexing="ij")
        if not there.centres.shape[1]:
            return {"offset": self.weight * offset_loss(offset, torch.zeros_like(offset), inside[:, None])}
        wanted = there.of_rows(there.centres) - torch.stack(cells, dim=-1)  # (B, *s, d)
        return {"offset": self.weight * offset_loss(offset, wanted.movedim(-1, 1), inside[:, None])}
