"""Output: what a network says, `forward(images, valid=None, targets=None) -> Output`.

The arrays are torch's, or numpy's from a bundle. `intarsia.models` registers these with torch as pytrees; here they are plain
dataclasses. Each raises InvalidNoun when made of arrays whose shapes contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intarsia.core._shapes import check_shapes
from intarsia.core.errors import InvalidNoun

__all__ = ["Dense", "Output", "Queries", "Regions"]

Array = Any
"""torch.Tensor or numpy.ndarray."""


@dataclass(frozen=True, eq=False)
class Dense:
    """A score for each class at each cell of a grid of size s, coarser than the image."""

    logits: Array
    """(B, C, *s); one more channel, last, where the data can hold nothing. With several groups of classes (`ClassSet.groups`) one
    channel per class, and "none of this group" is the logit 0: a group is a soft-max over its own logits and 0, which for one class
    is a sigmoid."""
    centre: Array | None = None
    """(B, 1, *s) heat of object centres, about 0 to 1 (Panoptic-DeepLab, arXiv 1911.10194)."""
    offset: Array | None = None
    """(B, d, *s) from each cell to its object's centre, (y, x) or (z, y, x), in cells of this grid."""
    aux: tuple[Dense, ...] = ()
    """Outputs of earlier stages for deep supervision."""
    align_corners: bool = False
    """Whether the grid's corner cells lie on the image's corner pixels, as `interpolate` defines it."""

    def __post_init__(self) -> None:
        check_shapes("Dense", logits=(self.logits, "B C *s"), centre=(self.centre, "B 1 *s"), offset=(self.offset, "B d *s"))


@dataclass(frozen=True, eq=False)
class Queries:
    """A set of candidates, each a class and a mask. The mask of a query is coefficients . prototypes, formed only for kept queries
    or sampled points (YOLACT arXiv 1904.02689, MaskFormer 2107.06278, EoMT 2503.19108 alike)."""

    classes: Array
    """(B, Q, C+1) logits, the last for no object."""
    coefficients: Array
    """(B, Q, K)."""
    prototypes: Array
    """(B, K, *s)."""
    boxes: Array | None = None
    """(B, Q, 2d), (x0, y0, x1, y1) as shares of the image's width and height, so that they fit it at any size."""
    priors: Array | None = None
    """(Q, 2d) anchors, where the network has them, in the same shares."""
    aux: tuple[Queries, ...] = ()

    def __post_init__(self) -> None:
        check_shapes(
            "Queries",
            classes=(self.classes, "B Q C+1"),
            coefficients=(self.coefficients, "B Q K"),
            prototypes=(self.prototypes, "B K *s"),
            boxes=(self.boxes, "B Q 2d"),
            priors=(self.priors, "Q 2d"),
        )


@dataclass(frozen=True, eq=False)
class Regions:
    """Boxes first, then a mask within each (Mask R-CNN, arXiv 1703.06870); in training the losses instead, because the sampling of
    regions inside the network depends on the targets."""

    boxes: tuple[Array, ...] = ()
    """Per image (N, 4), (x0, y0, x1, y1) as shares of the image's width and height."""
    classes: tuple[Array, ...] = ()
    """Per image (N,)."""
    scores: tuple[Array, ...] = ()
    """Per image (N,)."""
    masks: tuple[Array, ...] = ()
    """Per image (N, m, m) probabilities within the box."""
    semantic: Dense | None = None
    """The stuff branch of a Panoptic FPN (arXiv 1901.02446)."""
    losses: dict[str, Array] | None = None

    def __post_init__(self) -> None:
        counts = [len(rows) for rows in (self.boxes, self.classes, self.scores, self.masks)]
        if any(count not in (0, counts[0]) for count in counts):
            raise InvalidNoun(
                "Regions", expected=f"boxes, classes, scores and masks of {counts[0]} images, or none", received=counts
            )
        for image in range(counts[0]):
            letters = {"boxes": "N 4", "classes": "N", "scores": "N", "masks": "N m m"}
            given = {name: (getattr(self, name)[image], shape) for name, shape in letters.items() if getattr(self, name)}
            check_shapes(f"Regions image {image}", **given)


Output = Dense | Queries | Regions
