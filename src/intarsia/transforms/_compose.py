"""Compose: all transforms drawn first, then rendered once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.transforms._plan import Plan, Planned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from intarsia.core import Sample

__all__ = ["Compose"]


@dataclass(frozen=True)
class Compose:
    """Transforms as one: their geometry becomes one warp, their colour one matrix and one table; blur and noise are extra passes.

    A warp sees the file's picture, not the crop of the transform before: turning after cropping shows what lies beyond the crop.
    A transform that cannot be planned (a plug, copy-paste) ends a plan: what stands before it is rendered, what follows is planned
    anew.

    >>> import numpy as np
    >>> from intarsia.core import Sample
    >>> from intarsia.transforms.flip import Flip
    >>> twice = Compose([Flip(1.0), Flip(1.0)])
    >>> twice(Sample(np.uint8([[[1], [2]]])), np.random.default_rng(0)).image.ravel().tolist()
    [1, 2]
    """

    transforms: Sequence[Callable[..., Sample]]
    """Each (sample, rng, donor) -> Sample."""

    def __call__(self, sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None = None) -> Sample:
        """The sample through all transforms; `donor` gives another sample to those that need one."""
        plan = Plan.of(sample)
        for transform in self.transforms:
            if isinstance(transform, Planned):
                plan = transform.draw(plan, rng)
            else:
                sample = transform(plan.render(sample), rng, donor)
                plan = Plan.of(sample)
        return plan.render(sample)
