"""What losses ask of labels (B, *S) and of the losses by image and class: which are known, how many, how they are averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from intarsia.core.errors import InvalidNoun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    "among",
    "at_least_float32",
    "check_sizes",
    "class_shares",
    "known_labels",
    "known_only",
    "label_counts",
    "mean_of_classes",
    "perhaps",
]


def check_sizes(logits: Tensor, labels: Tensor) -> None:
    """Raises InvalidNoun unless these are (B, C, *S) and (B, *S), *S two or three axes."""
    if logits.ndim not in (4, 5) or labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise InvalidNoun(
            "logits and labels of a loss",
            expected="(B, C, *S) and (B, *S)",
            received=f"{tuple(logits.shape)} and {tuple(labels.shape)}",
            hint="Both begin with the batch, and logits are brought to the size of the labels first (torch's interpolate)",
        )


def known_labels(labels: Tensor, channels: int) -> Tensor:
    """-1, void, for any label below 0 and for one with no channel of its own: nothing, where the network has no channel for it."""
    return labels.where(labels < channels, -1).clamp_(min=-1)


def known_only(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, C, *S), plane by plane and in float32 at least; labels (B, *S), -1 void. Raises InvalidNoun for sizes that do not
    fit.

    Where logits are no numbers (half precision overflows on padding), those at void become 0, with a gradient of 0. Not without
    need: on a CPU that takes longer than a soft-max.
    """
    check_sizes(logits, labels)
    labels = known_labels(labels, logits.shape[1])
    logits = at_least_float32(logits).contiguous()  # twice as fast as channels_last
    if perhaps(~logits.detach().sum().isfinite()):
        logits = logits.masked_fill((labels < 0)[:, None], 0)
    return logits, labels


def perhaps(answer: Tensor) -> bool:
    """Whether so, on a CPU; yes on an accelerator, which would have to be waited for, and to a compiler, which cannot know."""
    return answer.device.type != "cpu" or torch.compiler.is_compiling() or bool(answer)


def at_least_float32(logits: Tensor) -> Tensor:
    """Half precision becomes float32, because sums over an image's pixels overflow it; float64 stays, for gradient checks."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def label_counts(labels: Tensor, channels: int) -> Tensor:
    """(B, C) int64, how many pixels of each image have each label; void is not counted."""
    batch = len(labels)
    index = labels.where(labels >= 0, channels).flatten(1)  # (B, *S) -> (B, S)
    index = index + (channels + 1) * torch.arange(batch, device=labels.device)[:, None]  # each image's own row
    return index.flatten().bincount(minlength=batch * (channels + 1)).view(batch, channels + 1)[:, :channels]


def mean_of_classes(losses: Tensor, counts: Tensor, *, present_only: bool, classes: Sequence[int] | None = None) -> Tensor:
    """The mean of (B, C) losses over the classes of each image, then over the images; 0 where no pixel has a label.

    Images without labels are left out, with `present_only` the classes that an image does not hold, and with `classes` all others.
    """
    return (losses * class_shares(counts, present_only=present_only, classes=classes)).sum()


def class_shares(counts: Tensor, *, present_only: bool, classes: Sequence[int] | None = None) -> Tensor:
    """(B, C) what each class of each image weighs in that mean."""
    counted = counts > 0  # (B, C)
    if not present_only:
        counted = counted.any(dim=1, keepdim=True).expand_as(counted)
    if classes is not None:
        counted = counted & among(classes, counts)
    total = counted.sum(dim=1, keepdim=True)  # (B, 1)
    return counted / (total * (total > 0).sum()).clamp(min=1)


def among(classes: Sequence[int], counts: Tensor) -> Tensor:
    """(C) bool, the channels in `classes`. Raises InvalidNoun for one that is no channel of `counts` (B, C)."""
    channels = counts.shape[1]
    if any(not 0 <= channel < channels for channel in classes):
        raise InvalidNoun("classes of a loss", expected=f"channels 0..{channels - 1}", received=list(classes))
    return torch.tensor([channel in classes for channel in range(channels)], device=counts.device)
