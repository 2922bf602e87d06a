"""Batch and Targets: what a network is trained on. Only the methods of the tensors are used, so this file loads without torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intarsia.core._shapes import check_shapes
from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from torch import Tensor

__all__ = ["Batch", "Targets"]


@dataclass(frozen=True, eq=False)
class Targets:
    """The truth of a batch as ids; denser views are made on the device, on first use.

    `ids` (B, L, *S) is as in Segments; `classes` and `crowd` (B, N) are padded with -1 and False to the largest N of the batch.
    """

    ids: Tensor
    classes: Tensor
    crowd: Tensor
    num_classes: int
    """C, without the channel for nothing."""
    _views: dict[Hashable, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        batch = self.ids.shape[0]
        if self.ids.ndim not in (4, 5) or self.classes.ndim != 2 or self.classes.shape[0] != batch:
            raise InvalidNoun(
                "Targets",
                expected="ids (B, L, *S) and classes (B, N)",
                received=f"{tuple(self.ids.shape)} and {tuple(self.classes.shape)}",
            )
        if self.crowd.shape != self.classes.shape:
            raise InvalidNoun("Targets crowd", expected=tuple(self.classes.shape), received=tuple(self.crowd.shape))

    def semantic(self) -> Tensor:
        """(B, *S) int64: class index, -1 void, `num_classes` nothing; where layers overlap the later row wins.

        Groups are not asked: all classes are taken to exclude each other.
        """
        if "semantic" not in self._views:
            batch, rows = self.classes.shape
            top = self.ids[:, 0]  # (B, *S); void is -1 in layer 0 and 0 above
            if self.ids.shape[1] > 1:
                top = self.ids.amax(dim=1).where(top >= 0, top)  # (B, L, *S) -> (B, *S)
            table = self.classes.new_zeros((batch, rows + 2)).long()  # (B, N+2): void, nothing, rows
            table[:, 0], table[:, 1], table[:, 2:] = -1, self.num_classes, self.classes
            starts = (rows + 2) * self.classes.new_tensor(range(batch)).int() + 1  # of each image's row of the table, at id 0
            entries = top.flatten(1).to(starts.dtype, copy=True).add_(starts[:, None])  # (B, pixels); in place, for half the memory
            self._views["semantic"] = table.flatten().index_select(0, entries.flatten()).view(top.shape)  # (B, *S)
        return self._views["semantic"]

    def grouped(self, groups: Sequence[Sequence[int]]) -> Tensor:
        """(B, G, *S) int64, for each group of class indices: the class's place in it, its length for none of these, -1 void.

        Within a group classes exclude each other: where rows of several overlap the later one wins. Groups do not ask one another.
        """
        key = ("grouped", tuple(tuple(group) for group in groups))

        def make() -> Tensor:
            batch, rows = self.classes.shape
            axes = [1] * (self.ids.ndim - 2)
            entries = self.ids.long() + (rows + 2) * self.classes.new_tensor(range(batch)).view(-1, 1, *axes) + 1  # (B, L, *S)
            answers = self.classes.new_zeros((batch, len(groups), *self.ids.shape[2:])).long()
            for place, group in enumerate(groups):
                table = self.classes.new_zeros(
                    (batch, rows + 2)
                ).long()  # (B, N+2): void and nothing at 0, rows of the group at 1..N
                home = self.classes.new_tensor([*group]).view(-1, 1, 1)
                within = (self.classes[None] == home).long()  # (|group|, B, N)
                table[:, 2:] = within.amax(dim=0) * self.classes.new_tensor(range(1, rows + 1))
                row = table.flatten()[entries].amax(dim=1)  # (B, L, *S) -> (B, *S), the last row of the group that is here
                index = (within * self.classes.new_tensor(range(len(group))).view(-1, 1, 1)).sum(dim=0)  # (B, N)
                table[:, 0], table[:, 1], table[:, 2:] = -1, len(group), index
                starts = (rows + 2) * self.classes.new_tensor(range(batch)).view(-1, *axes) + 1
                answers[:, place] = table.flatten()[row + starts].where(self.ids[:, 0] >= 0, -1)
            return answers

        return self.view(key, make)

    def view(self, name: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """A further view under a name of its own, made on first use: what several losses or levels need of the labels."""
        if name not in self._views:
            self._views[name] = make()
        return self._views[name]

    def masks(self, image: int) -> Tensor:
        """(N, *S) bool: the rows of one image, padding left out."""
        rows = int((self.classes[image] >= 0).sum())
        ids = self.ids[image]  # (L, *S)
        wanted = self.classes.new_tensor(range(1, rows + 1)).to(ids.dtype).view(rows, 1, *[1] * (ids.ndim - 1))
        return (ids[None] == wanted).any(dim=1)  # (N, L, *S) -> (N, *S)

    def boxes(self) -> Tensor:
        """(B, N, 2d) float32, the tight boxes of the rows in pixels, (x0, y0, x1, y1) or with z; zeros for a row without pixels.

        By one pass over the ids, as a mask for each of a thousand objects would take gigabytes.
        """

        def make() -> Tensor:
            (batch, rows), dims = self.classes.shape, self.ids.ndim - 2
            entries = self._rows_of_pixels()
            boxes = self.classes.new_zeros((batch, rows, 2 * dims)).float()
            for place, axis in enumerate(reversed(range(2, 2 + dims))):  # x first
                length = self.ids.shape[axis]
                steps = entries.new_tensor(range(length)).int().view(-1, *[1] * (dims + 1 - axis))
                steps = steps.expand(self.ids.shape).flatten(1)  # (B, pixels)
                low = steps.new_full((batch, rows + 1), length).scatter_reduce_(1, entries, steps, "amin")
                high = steps.new_full((batch, rows + 1), -1).scatter_reduce_(1, entries, steps, "amax") + 1
                boxes[..., place], boxes[..., dims + place] = (low * (high > 0))[:, 1:], high[:, 1:]
            return boxes

        return self.view("boxes", make)

    def objects(self) -> Tensor:
        """(B, N) bool, the rows that have pixels and are no crowd."""
        return (self.classes >= 0) & ~self.crowd & (self.boxes()[..., -1] > 0)

    def unproven(self) -> Tensor:
        """(B, *S) bool, the pixels that prove nothing: void, and those of crowds."""

        def make() -> Tensor:
            crowd = self.crowd.new_zeros((len(self.crowd), self.crowd.shape[1] + 1))  # (B, N+1), nothing first
            crowd[:, 1:] = self.crowd
            here = crowd.gather(1, self._rows_of_pixels()).view(self.ids.shape).any(dim=1)  # (B, L, *S) -> (B, *S)
            return here | (self.ids[:, 0] < 0)

        return self.view("unproven", make)

    def _rows_of_pixels(self) -> Tensor:
        """(B, L *S) int64, the row of each pixel of each layer from 1 on; 0 where there is none."""
        return self.ids.long().clamp(min=0).flatten(1)

    def to(self, *args: Any, **kwargs: Any) -> Targets:
        """On another device; the views stay behind."""
        return replace(
            self,
            ids=self.ids.to(*args, **kwargs),
            classes=self.classes.to(*args, **kwargs),
            crowd=self.crowd.to(*args, **kwargs),
            _views={},
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one size in their own dtype, normalised later inside the network."""

    images: Tensor
    """(B, C, *S)."""
    keys: tuple[str, ...]
    sizes: tuple[tuple[int, ...], ...]
    """S of each file, before any transform."""
    valid: Tensor | None = None
    """(B, *S) bool, False on padding and nodata; None means everywhere."""
    stats: Tensor | None = None
    """(B, C, 2) for Pixels of kind per_image."""
    targets: Targets | None = None

    def __post_init__(self) -> None:
        batch = self.images.shape[0]
        if len(self.keys) != batch or len(self.sizes) != batch:
            raise InvalidNoun("Batch", expected=f"{batch} keys and sizes", received=f"{len(self.keys)} and {len(self.sizes)}")
        check_shapes("Batch", images=(self.images, "B C *S"), valid=(self.valid, "B *S"), stats=(self.stats, "B C 2"))
        if self.targets is not None and self.targets.ids.shape[2:] != self.images.shape[2:]:
            raise InvalidNoun(
                "Batch targets",
                expected=f"the images' size {tuple(self.images.shape[2:])}",
                received=tuple(self.targets.ids.shape[2:]),
            )

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        """On another device."""
        moved = {
            name: None if value is None else value.to(*args, **kwargs)
            for name, value in (("images", self.images), ("valid", self.valid), ("stats", self.stats), ("targets", self.targets))
        }
        return replace(self, **moved)  # type: ignore[arg-type]

    def pin_memory(self) -> Batch:
        """In page-locked memory, for a DataLoader that feeds a GPU."""

        def pin(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.pin_memory()

        targets = self.targets and replace(
            self.targets,
            ids=self.targets.ids.pin_memory(),
            classes=self.targets.classes.pin_memory(),
            crowd=self.targets.crowd.pin_memory(),
            _views={},
        )
        return replace(self, images=self.images.pin_memory(), valid=pin(self.valid), stats=pin(self.stats), targets=targets)
