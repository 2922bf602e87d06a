"""The loss of a set of masks: match queries to objects, then train class and mask of each (Cheng et al. 2021, arXiv 2112.01527,
section 3.3; the set of MaskFormer, arXiv 2107.06278, section 3.2).

Deviations: points are pixels of the labels, with logits interpolated up to the border as decoding does it, where the authors' code
draws points between pixels, blurs labels, and takes logits beyond the border to be 0; an image of no more pixels than points is
trained whole; void has no say; queries learn nothing from an image that is all void; and what is averaged over objects is so over
those of this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import cross_entropy, softplus

from intarsia.core.errors import InvalidNoun
from intarsia.core.output import Queries
from intarsia.losses._labels import at_least_float32
from intarsia.losses._matching import assigned, class_costs, mask_costs
from intarsia.losses._options import AMOUNT, AT_LEAST_ONE, COUNT, SHARE, check
from intarsia.losses._point_sampling import drawn, uncertain, values_at

if TYPE_CHECKING:
    from torch import Tensor

    from intarsia.core.batch import Targets
    from intarsia.core.output import Output

__all__ = ["MaskSet"]


class MaskSet:
    """Class, mask and Dice loss of the queries of an output and of its auxiliary ones, each of which is matched for itself.

    `class_weight`, `mask_weight` and `dice_weight` weigh the parts, in the choice of the query for each object as in the loss. Of
    the queries left over each counts `no_object_weight` towards its class, no object. Masks are compared at `points` pixels: for
    the matching at random ones, for the loss at those where a mask is least sure, a share `importance` of them out of `oversample`
    times as many, the rest random. Objects are rows with pixels that are no crowd. Raises OptionError for numbers out of range,
    InvalidNoun for another kind of output and for another number of classes.

    >>> import torch
    >>> from intarsia.core import Targets
    >>> targets = Targets(torch.ones(1, 1, 2, 2, dtype=torch.int8), torch.tensor([[1]]), torch.zeros(1, 1, dtype=torch.bool), 2)
    >>> said = Queries(torch.zeros(1, 1, 3), torch.ones(1, 1, 1), torch.zeros(1, 1, 2, 2))
    >>> {name: round(float(value), 4) for name, value in MaskSet()(said, targets).items()}  # 2 log 3, 5 log 2, 5 (1 - 5 / 7)
    {'mask_set_class': 2.1972, 'mask_set_mask': 3.4657, 'mask_set_dice': 1.4286}
    """

    def __init__(
        self,
        weight: float = 1.0,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        no_object_weight: float = 0.1,
        points: int = 12544,
        oversample: float = 3.0,
        importance: float = 0.75,
    ) -> None:
        check("mask_set", points=(points, COUNT))
        check("mask_set", points=(points, AT_LEAST_ONE), oversample=(oversample, AT_LEAST_ONE), importance=(importance, SHARE))
        parts = {"class_weight": class_weight, "mask_weight": mask_weight, "dice_weight": dice_weight}
        check("mask_set", **{name: (value, AMOUNT) for name, value in {**parts, "no_object_weight": no_object_weight}.items()})
        self.weight = weight
        self.parts = class_weight, mask_weight, dice_weight
        self.no_object_weight = no_object_weight
        self.points = points
        self.oversample = oversample
        self.importance = importance

    def __call__(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The weighted scalars: of the classes, the masks' binary cross-entropy and their Dice loss."""
        if not isinstance(output, Queries):
            raise InvalidNoun("mask_set", expected="an output of Queries", received=type(output).__name__)
        channels = targets.num_classes + 1
        if output.classes.shape[2] != channels:
            raise InvalidNoun(
                "classes of mask_set", expected=f"(B, Q, {channels}), no object last", received=tuple(output.classes.shape)
            )
        truth = _Truth.of(targets)
        points = drawn(len(truth.ids), self.points, truth.size, truth.ids.device)  # (B, n)
        masks, known = truth.masks_at(points)
        levels = [self._level(said, truth, points, masks, known) for said in (output, *output.aux)]
        sums = torch.stack(levels).sum(dim=0)  # (3,)
        values = (self.weight * sums.new_tensor(self.parts) * sums).unbind()
        return dict(zip(("mask_set_class", "mask_set_mask", "mask_set_dice"), values, strict=True))

    def _level(self, said: Queries, truth: _Truth, points: Tensor, masks: Tensor, known: Tensor) -> Tensor:
        """(3,) the parts of one output, its queries matched by masks (B, N, n) and what is known (B, n) at the points (B, n)."""
        logits, coefficients, prototypes = map(at_least_float32, (said.classes, said.coefficients, said.prototypes))
        with torch.no_grad():
            here = coefficients @ values_at(prototypes, points, truth.size)  # (B, Q, n)
            costs = class_costs(logits, truth.classes), *mask_costs(here, masks, known)
            total = torch.stack([weight * cost for weight, cost in zip(self.parts, costs, strict=True)]).sum(dim=0)  # (B, Q, N)
            image, query, row = assigned(total, truth.objects)
        rows = [coefficients[b, query[image == b]] @ prototypes[b].flatten(1) for b in range(len(prototypes))]
        matched = torch.cat(rows).view(-1, *prototypes.shape[2:])  # (M, *s)
        classes = self._class_loss(logits, truth, image, query, row)
        return torch.stack([classes, *self._mask_losses(matched, truth, image, row)])

    def _class_loss(self, logits: Tensor, truth: _Truth, image: Tensor, query: Tensor, row: Tensor) -> Tensor:
        """The weighted mean of cross-entropy over the queries of all images that have a label."""
        none = logits.shape[2] - 1
        wanted = torch.full(logits.shape[:2], none, device=logits.device)  # (B, Q)
        wanted[image, query] = truth.classes[image, row]
        shares = truth.labelled[:, None] * torch.where(wanted == none, self.no_object_weight, 1.0).to(logits.dtype)  # (B, Q)
        losses = cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")  # (BQ,)
        return (losses * shares.flatten()).sum() / shares.sum().clamp(min=torch.finfo(shares.dtype).tiny)

    def _mask_losses(self, matched: Tensor, truth: _Truth, image: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Binary cross-entropy and Dice loss of the masks (M, *s), each summed over the masks and divided by the objects."""
        if not len(matched):
            return matched.sum(), matched.sum()  # 0, with a gradient of 0 for all that masks are made of

        def known_at(points: Tensor) -> Tensor:
            return truth.at(image, points)[:, 0] >= 0

        with torch.no_grad():
            points = uncertain(
                matched, self.points, truth.size, known_at, oversample=self.oversample, importance=self.importance
            )  # (M, n)
            ids = truth.at(image, points)  # (M, L, n)
            known = (ids[:, 0] >= 0).to(matched.dtype)  # (M, n)
            mask = (ids == row[:, None, None] + 1).any(dim=1).to(matched.dtype)  # (M, n)
        logits = values_at(matched[:, None], points, truth.size)[:, 0]  # (M, n)
        entropy = ((softplus(logits) - logits * mask) * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)  # (M,)
        shares = logits.sigmoid() * known
        dice = 1 - (2 * (shares * mask).sum(dim=1) + 1) / (shares.sum(dim=1) + mask.sum(dim=1) + 1)  # (M,)
        objects = truth.objects.sum().clamp(min=1)
        return entropy.sum() / objects, dice.sum() / objects


class _Truth(NamedTuple):
    """Targets by place in the flattened image."""

    ids: Tensor
    """(B, L, pixels)."""
    classes: Tensor
    """(B, N)."""
    objects: Tensor
    """(B, N) bool: which rows are trained, those with pixels that are no crowd."""
    labelled: Tensor
    """(B,) bool: whether an image is more than void."""
    size: tuple[int, ...]

    @classmethod
    def of(cls, targets: Targets) -> _Truth:
        ids = targets.ids.flatten(2)

        def objects() -> Tensor:
            pixels = torch.zeros(len(ids), targets.classes.shape[1] + 1, device=ids.device)  # (B, N+1)
            pixels.scatter_(1, ids.clamp(min=0).flatten(1).long(), 1.0)
            return (pixels[:, 1:] > 0) & (targets.classes >= 0) & ~targets.crowd

        labelled = targets.view(("mask_set", "labelled"), lambda: (ids[:, 0] >= 0).any(dim=1))
        return cls(
            ids, targets.classes.long(), targets.view(("mask_set", "objects"), objects), labelled, tuple(targets.ids.shape[2:])
        )

    def at(self, image: Tensor, points: Tensor) -> Tensor:
        """(M, L, n) the ids of images (M,) at pixels (M, n)."""
        layers, pixels = self.ids.shape[1:]
        starts = (image[:, None] * layers + torch.arange(layers, device=image.device)) * pixels  # (M, L)
        index = starts[:, :, None] + points[:, None]  # (M, L, n)
        return self.ids.flatten().index_select(0, index.flatten()).view(index.shape)

    def masks_at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, n) bool each row's mask, and (B, n) bool what is known, at pixels (B, n)."""
        ids = self.at(torch.arange(len(points), device=points.device), points)  # (B, L, n)
        rows = torch.arange(1, self.classes.shape[1] + 1, device=points.device)[:, None, None]  # (N, 1, 1)
        return (ids[:, None] == rows).any(dim=2), ids[:, 0] >= 0
