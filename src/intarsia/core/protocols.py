"""Image, Scorer, Predictor, Transform: the shapes of what is passed around, as structural types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from intarsia.core.output import Output
    from intarsia.core.sample import Sample
    from intarsia.core.segments import Segments

__all__ = ["Image", "Predictor", "Scorer", "Transform"]


class Image(Protocol):
    """Anything with shape (*S, C), dtype and window slicing: an array, a memory map, a raster."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(*S, C)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The file's own."""
        ...

    def __getitem__(self, window: Any, /) -> NDArray[Any]:
        """The pixels of a window, such as `image[0:512, 0:512]`."""
        ...


class Scorer(Protocol):
    """One image or window (*S, C) to an Output of batch 1: a network, its ONNX or OpenVINO twin."""

    def __call__(self, image: NDArray[Any], /, *, stats: NDArray[np.float32] | None = None) -> Output:
        """`stats` (C, 2) are those of the whole image, so that its windows agree (`Pixels.stats`)."""
        ...


class Predictor(Protocol):
    """One image to its Segments. Evaluation, drawing and serving take any."""

    def __call__(self, image: Image, /) -> Segments:
        """The segments of an image, at its size."""
        ...


class Transform(Protocol):
    """One sample to another, pure but for `rng`; travels to workers."""

    def __call__(self, sample: Sample, rng: np.random.Generator, donor: Callable[[], Sample] | None = None, /) -> Sample:
        """The sample transformed; `donor` gives a further sample of the same data (copy-paste)."""
