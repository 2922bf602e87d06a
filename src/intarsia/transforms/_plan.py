"""Plan: what the drawn transforms add up to, and the one place where it is rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import OptionError
from intarsia.ops.colour import Curve, add_step, recolour, value_range
from intarsia.ops.planes import blanked
from intarsia.ops.resampling import inside, warp_ids, warp_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from intarsia.core import Sample, Segments

    Pass = Callable[[NDArray[Any], float, float], NDArray[Any]]
    """(image (*S, C), low, high) -> image of the same shape and dtype."""

__all__ = ["Plan", "Planned"]


@dataclass(frozen=True, eq=False)
class Plan:
    """One warp, one channel matrix, one curve, and extra passes. Rendered in that order, whatever order they were drawn in."""

    source: tuple[int, ...]
    """S of the sample as it came."""
    channels: int
    matrix: NDArray[np.float64]
    """(d+1, d+1) from a point of the output to the point of the source, as in `ops.resampling`."""
    size: tuple[int, ...]
    """S of the output."""
    mix: NDArray[np.float64] | None = None
    """(C, C)."""
    curve: Curve = ()
    passes: tuple[Pass, ...] = ()
    truth: Segments | None = None
    """Of the sample as it came, for those that look before they draw."""

    @classmethod
    def of(cls, sample: Sample) -> Plan:
        """Nothing changed yet."""
        size = sample.image.shape[:-1]
        return cls(size, sample.image.shape[-1], np.eye(len(size) + 1), size, truth=sample.segments)

    def seen(self, step: NDArray[np.float64], size: tuple[int, ...]) -> Plan:
        """Geometry: the picture so far as seen through `step`, from a point of the new output to a point of the present one."""
        return replace(self, matrix=self.matrix @ step, size=size)

    def mixed(self, mix: NDArray[np.float64]) -> Plan:
        """Colour: one more channel matrix."""
        return replace(self, mix=mix if self.mix is None else mix @ self.mix)

    def curved(self, *, scale: float = 1.0, shift: float = 0.0, power: float = 1.0) -> Plan:
        """Colour: one more step of the curve."""
        return replace(self, curve=add_step(self.curve, scale, shift, power))

    def followed(self, extra: Pass) -> Plan:
        """One more pass over the whole picture."""
        return replace(self, passes=(*self.passes, extra))

    def fitting(self, size: tuple[int, ...], name: str) -> tuple[int, ...]:
        """`size`, or OptionError where it has not as many axes as the image."""
        if len(size) != len(self.size):
            raise OptionError(f"{name} size", expected=f"{len(self.size)} numbers for an image of size {self.size}", received=size)
        return size

    def render(self, sample: Sample) -> Sample:
        """The sample as planned. Outside its old picture the image is 0, not valid, and void; rows stay, even those without pixels.

        Spacing follows the warp; a geotransform that no longer holds is dropped.
        """
        image, within, recoloured = sample.image, None, self.mix is not None or self.curve or self.passes
        # of the source: what a warp adds around it, and how it is cut, must not move black and white
        low, high = value_range(image, sample.stats, sample.valid) if recoloured else (0.0, 1.0)
        if self.size != self.source or not np.array_equal(self.matrix, np.eye(len(self.matrix))):
            image, within = warp_image(image, self.matrix, self.size), inside(self.source, self.matrix, self.size)
            sample = self._warped(sample, image, within)
        if recoloured:
            image = recolour(image, self.mix, self.curve, low=low, high=high)
            for extra in self.passes:
                image = extra(image, low, high)
            if within is not None:
                image = blanked(image, within)
            sample = replace(sample, image=image)
        return sample

    def _warped(self, sample: Sample, image: NDArray[Any], within: NDArray[np.bool_] | None) -> Sample:
        """The sample on its warped image, with everything else that lies on pixels moved the same way."""
        segments, valid, spacing = sample.segments, within, sample.spacing
        if segments is not None:
            confidence = segments.confidence
            if confidence is not None:
                confidence = warp_image(confidence[..., None], self.matrix, self.size)[..., 0]
            segments = segments.with_ids(warp_ids(segments.ids, self.matrix, self.size), confidence=confidence)
        if sample.valid is not None:
            valid = warp_ids(sample.valid[None].view(np.uint8), self.matrix, self.size, outside=0)[0].view(np.bool_)
        if spacing is not None:
            steps = np.linalg.norm(np.array(spacing)[:, None] * self.matrix[:-1, :-1], axis=0)  # along each new axis
            spacing = tuple(steps.tolist())
        return replace(sample, image=image, segments=segments, valid=valid, spacing=spacing, geo=None)


class Planned:
    """Draws its parameters into a Plan; alone it renders that plan at once, within a Compose the plan of all is rendered once."""

    def draw(self, plan: Plan, rng: np.random.Generator) -> Plan:
        """The plan with this transform's drawn parameters added."""
        raise NotImplementedError

    def __call__(self, sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None = None) -> Sample:
        """The sample transformed; the same `rng` gives the same sample. `donor` is not used."""
        return self.draw(Plan.of(sample), rng).render(sample)
