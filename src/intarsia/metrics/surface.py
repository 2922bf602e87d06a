"""Distances between the surfaces of truth and prediction: Hausdorff, its 95th percentile, average, and surface Dice.

Surfaces and distances are MONAI's: `compute_hausdorff_distance` (percentile 95 for HD95), the symmetric
`compute_average_surface_distance`, and `compute_surface_dice` without sub-voxels (Nikolov et al. 2018, arXiv 1809.04430).
Deviation: where only one of truth and prediction holds the class MONAI gives inf; here the distances are then the diagonal of the
image, the longest there is, so that leaving a class out never pays. A side holds a class where a pixel of it is known.

Void is unknown, and is never scored: `_outlines` says what that makes of a surface that runs along it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.errors import InvalidNoun
from intarsia.metrics._counted import Counted, check_number, holds, label_maps, mean_defined, ratio
from intarsia.metrics._outlines import outlines
from intarsia.metrics._scores import Scores
from intarsia.ops.boundaries import nearest_distances, void_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from intarsia.core.classes import ClassSet
    from intarsia.core.segments import Segments

__all__ = ["Surface"]

DISTANCES = ("hd95", "hausdorff", "average_surface_distance", "surface_dice")


class Surface(Counted):
    """HD95, Hausdorff, average symmetric surface distance and surface Dice: per image and class, averaged over images.

    A surface is the pixels of a class that touch another class, or the outside of the image, by a side. With a the distances from
    the pixels of the prediction's surface to the nearest of the truth's, and b those from the truth's to the prediction's:

        hausdorff = max(max a, max b)         hd95 = max(95th percentile of a, 95th percentile of b)
        average_surface_distance = mean of a and b together
        surface_dice = (count of a <= tolerance + count of b <= tolerance) / (count of a + count of b)

    `spacing` is the pixel's extent along each axis of S, or one number for all; distances and `tolerance` are in its unit, such as
    mm, and in pixels where it is left out. Averages are over the images where truth or prediction holds the class; `one_sided`
    says in how many of them only one does: distances there are the diagonal of the image, surface Dice 0.

    An update is a whole image: tiles have surfaces of their own.

    >>> from intarsia.core import ClassSet, Segments
    >>> truth, guess = np.zeros((2, 1, 9), int)
    >>> truth[:, 4:], guess[:, 6:] = 1, 1
    >>> metric = Surface(ClassSet(("left", "right")), spacing=0.5, tolerance=0.5)
    >>> metric.update(Segments.from_semantic(truth, 2), Segments.from_semantic(guess, 2))
    >>> scores = metric.compute()
    >>> scores["hausdorff"].tolist(), scores["surface_dice"].tolist()
    ([1.0, 1.0], [0.9, 0.875])
    """

    perfect: ClassVar[dict[str, float]] = {f"mean_{name}": float(name == "surface_dice") for name in DISTANCES}
    headline: ClassVar[str] = "mean_hd95"
    by_class: ClassVar[tuple[str, ...]] = DISTANCES

    def __init__(
        self,
        classes: ClassSet,
        *,
        spacing: float | Sequence[float] | None = None,
        tolerance: float = 2.0,
        keys: Iterable[str] = (),
        counts: NDArray[np.float64] | None = None,
    ) -> None:
        """Empty, or from another's `keys` and `counts` (updates, C, 6): the four scores, whether they are defined, and whether only
        one of truth and prediction holds the class.
        """
        if spacing is not None:
            extents: list[Any] = list(spacing) if isinstance(spacing, list | tuple | np.ndarray) else [spacing]
            for extent in extents or [()]:
                check_number("surface spacing", extent, lambda extent: 0 < extent < np.inf, "extents above 0")
            spacing = tuple(float(extent) for extent in extents)
        check_number("surface tolerance", tolerance, lambda distance: 0 <= distance < np.inf, "a distance from 0 on")
        super().__init__(classes, (len(classes), 6), np.float64, keys, counts, {"spacing": spacing, "tolerance": float(tolerance)})

    def update(self, truth: Segments, prediction: Segments, key: str = "") -> None:
        """Count one image; both hold class indices of `classes`. Raises InvalidNoun for other sizes or classes, and where the image
        has another number of axes than the spacing.
        """
        spacing = self.options["spacing"] or (1.0,)
        if len(spacing) not in (1, len(truth.size)):
            raise InvalidNoun(f"image {key!r}", expected=f"{len(spacing)} axes, as the spacing has", received=truth.size)
        extents = np.broadcast_to(np.array(spacing), len(truth.size))
        diagonal = float(np.linalg.norm(extents * truth.size))
        count = np.zeros((len(self.classes), 6))
        number = len(self.classes)
        for _, wanted, given, known in label_maps(truth, prediction, self.classes, key):
            present = (holds(labels, known, number) for labels in (wanted, given))
            pieces = None if known is None else void_pieces(known)
            surfaces = outlines(wanted, given, pieces, number, frame=True)
            for index, (in_truth, in_guess, (of_truth, of_guess, maybe)) in enumerate(zip(*present, surfaces, strict=True)):
                if in_truth and in_guess:
                    there, back = nearest_distances(of_guess, maybe, extents), nearest_distances(of_truth, of_guess, extents)
                    count[index, :5] = *_scores(there, back, self.options["tolerance"]), 1
                elif in_truth or in_guess:
                    count[index] = diagonal, diagonal, diagonal, 0, 1, 1
        self._add(key, count)

    def compute(self, intervals: int = 1000, seed: int = 0) -> Scores:
        """The scores so far, with bootstrap intervals from that many draws of the images (0 for none, none for a single image).

        Raises IntarsiaError when nothing was counted.
        """
        counts, values, ends = self.computed(intervals, seed)
        total = np.sum(counts, axis=0)  # (C, 6)
        unit = "pixels" if self.options["spacing"] is None else "the unit of the spacing"
        about = f"surface: distances in {unit}, surface Dice 0..1 at tolerance {self.options['tolerance']:g}; means over images"
        seen = {"images": total[:, 4].astype(np.int64), "one_sided": total[:, 5].astype(np.int64)}
        return Scores(about, self.classes.names, len(counts), values | seen, ends, self.options)

    def scores(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Every score, (R,) or (R, C), of R rows of sums over images."""
        sums = sums.reshape(len(sums), -1, 6)
        by_class = {name: ratio(sums[..., column], sums[..., 4]) for column, name in enumerate(DISTANCES)}  # (R, C) each
        return {f"mean_{name}": mean_defined(values) for name, values in by_class.items()} | by_class


def _scores(there: NDArray[np.float64], back: NDArray[np.float64], tolerance: float) -> tuple[float, ...]:
    """HD95, Hausdorff, average distance and surface Dice of the distances in both directions."""
    both = np.concatenate([there, back])
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(hd95), float(both.max()), float(both.mean()), float((both <= tolerance).mean())
