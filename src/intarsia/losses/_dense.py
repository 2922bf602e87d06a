"""How every loss on Dense outputs meets them: at the size of the labels, level by level and group by group.

A loss is a function of the logits and labels of classes that exclude each other. An output with auxiliary levels, or with several
groups of classes, is several such questions; here, and nowhere else, it is taken apart and the answers are weighed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Dense, Regions
from intarsia.losses._class_sums import ClassSums, class_sums
from intarsia.losses._labels import at_least_float32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["AUX_WEIGHT", "Part", "dense_loss", "prepared"]

AUX_WEIGHT = 0.4
"""Of each auxiliary output beside the main one (PSPNet, arXiv 1612.01105, section 3.3)."""


@dataclass(frozen=True, eq=False)
class Part:
    """One level and group of an output: what a single soft-max says. What several losses need of it is made once."""

    logits: Tensor
    """(B, C, *S)."""
    labels: Tensor
    """(B, *S) int64, -1 void."""
    weight: float
    targets: Targets
    group: tuple[int, ...] = ()
    """The classes of the first channels, the last being "none of these"; empty where the channels are the output's own."""

    @cached_property
    def sums(self) -> ClassSums:
        """`class_sums` of the logits."""
        return class_sums(self.logits, self.labels)

    def view(self, name: str, make: Callable[[Tensor, int], Tensor]) -> Tensor:
        """`make(labels, C)`, made once for all levels."""
        channels = self.logits.shape[1]
        return self.targets.view((name, self.group, channels), lambda: make(self.labels, channels))

    def by_channel(self, name: str, values: Sequence[float] | None) -> Sequence[float] | None:
        """Of `values`, one for each channel of the output, those of this part; 1 for "none of these"."""
        if values is None or not self.group:
            return values
        if len(values) != self.targets.num_classes:
            raise InvalidNoun(name, expected=f"{self.targets.num_classes} numbers, one for each class", received=len(values))
        return [*(values[index] for index in self.group), 1.0]

    def channels_of(self, classes: Sequence[int] | None) -> Sequence[int] | None:
        """The channels of this part that hold some of `classes`; never that of "none of these"."""
        if not self.group:
            return classes
        return [place for place, index in enumerate(self.group) if classes is None or index in classes]


@dataclass(frozen=True, eq=False)
class Prepared(Dense):
    """An output whose logits have come to the size of the labels, taken apart: several losses share it. Centre and offset stay on
    the grid that they came on."""

    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        """No check: grids of two sizes are meant."""


def dense_loss(output: Output, targets: Targets, loss: Callable[[Part], Tensor]) -> Tensor:
    """The weighted sum of `loss` over the parts of a Dense output, or of the semantic branch of Regions."""
    dense = output.semantic if isinstance(output, Regions) and output.semantic is not None else output
    ready = dense if isinstance(dense, Prepared) else prepared(dense, targets)
    return torch.stack([part.weight * loss(part) for part in ready.parts]).sum()


def prepared(
    output: Output,
    targets: Targets,
    *,
    groups: Sequence[Sequence[int]] = (),
    aux_weight: float | Sequence[float] = AUX_WEIGHT,
) -> Prepared:
    """A Dense output with its parts: the output itself with weight 1 and each auxiliary one with `aux_weight`, or with its own of
    several, each the mean over `groups` of class indices; up to one group is a soft-max over all channels.

    Raises InvalidNoun for another kind of output, for logits without one channel per class where there are several groups, and for
    another number of auxiliary weights than outputs.
    """
    if not isinstance(output, Dense):
        raise InvalidNoun("loss", expected="a Dense output", received=type(output).__name__)
    weights = [aux_weight] * len(output.aux) if isinstance(aux_weight, int | float) else list(aux_weight)
    if output.aux and len(weights) != len(output.aux):
        raise InvalidNoun("aux_weight", expected=f"{len(output.aux)} numbers, one for each auxiliary output", received=len(weights))
    ready = [_at_label_size(output, targets)]
    parts = _parts(ready[0].logits, targets, groups, 1.0)
    for one, weight in zip(output.aux, weights, strict=False):
        if weight:
            ready.append(_at_label_size(one, targets))
            parts += _parts(ready[-1].logits, targets, groups, weight)
    return Prepared(
        logits=ready[0].logits,
        centre=output.centre,
        offset=output.offset,
        aux=tuple(ready[1:]),
        align_corners=output.align_corners,
        parts=tuple(parts),
    )


def _parts(logits: Tensor, targets: Targets, groups: Sequence[Sequence[int]], weight: float) -> list[Part]:
    """The parts of one level, (B, C, *S)."""
    if len(groups) < 2:
        return [Part(logits, targets.semantic(), weight, targets)]
    if logits.shape[1] != targets.num_classes:
        raise InvalidNoun(
            "logits", expected=f"{targets.num_classes} channels, one for each class of the groups", received=logits.shape[1]
        )
    none = torch.zeros_like(logits[:, :1])  # (B, 1, *S), the logit of "none of these"
    labels = targets.grouped(groups)  # (B, G, *S)
    return [
        Part(
            torch.cat([*(logits[:, index, None] for index in group), none], dim=1),  # (B, |group| + 1, *S)
            labels[:, place],
            weight / len(groups),
            targets,
            tuple(group),
        )
        for place, group in enumerate(groups)
    ]


def _at_label_size(output: Dense, targets: Targets) -> Dense:
    """(B, C, *s) -> (B, C, *S), linear in float32, in the output's own corner convention; of that size already, it stays."""
    size = targets.ids.shape[2:]
    if output.logits.shape[2:] == size:
        return output
    mode = "bilinear" if len(size) == 2 else "trilinear"
    logits = at_least_float32(output.logits).contiguous()  # a copy of the small ones: blocks of planes are faster than of pixels
    return Dense(interpolate(logits, size=size, mode=mode, align_corners=output.align_corners))  # (B, C, *S)
