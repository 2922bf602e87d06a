"""What losses ask of labels (B, *S) and of the losses by image and class: which are known, how many, how they are averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["at_least_float32", "known_labels", "label_counts", "mean_of_classes"]


def known_labels(labels: Tensor, channels: int) -> Tensor:
    """Labels with no channel of their own (nothing, where the network has no channel for it) become void, -1."""
    return labels.where(labels < channels, -1)


def at_least_float32(logits: Tensor) -> Tensor:
    """Half precision becomes float32, because sums over an image's pixels overflow it; float64 stays, for gradient checks."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def label_counts(labels: Tensor, channels: int) -> Tensor:
    """(B, C) int64, how many pixels of each image have each label; void is not counted."""
    batch = len(labels)
    index = labels.where(labels >= 0, channels).flatten(1)  # (B, *S) -> (B, S)
    index = index + (channels + 1) * torch.arange(batch, device=labels.device)[:, None]  # each image's own row
    return index.flatten().bincount(minlength=batch * (channels + 1)).view(batch, channels + 1)[:, :channels]


def mean_of_classes(losses: Tensor, counts: Tensor, *, present_only: bool) -> Tensor:
    """The mean of (B, C) losses over the classes of each image, then over the images; 0 where no pixel has a label.

    Images without labels are left out, and with `present_only` the classes that an image does not hold.
    """
    return (losses * class_shares(counts, present_only=present_only)).sum()


def class_shares(counts: Tensor, *, present_only: bool) -> Tensor:
    """(B, C) what each class of each image weighs in that mean."""
    counted = counts > 0  # (B, C)
    if not present_only:
        counted = counted.any(dim=1, keepdim=True).expand_as(counted)
    classes = counted.sum(dim=1, keepdim=True)  # (B, 1)
    return counted / (classes * (classes > 0).sum()).clamp(min=1)
