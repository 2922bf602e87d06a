"""A few sums per image and class, made in one pass over the logits: cross-entropy and the overlap losses are arithmetic on them.

The pass goes block by block, so that its temporaries stay in the processor's cache, and leaves behind log Σ exp of the logits
alone, a C-th of them. Going back, soft-max is made again, block by block, into the one array of the logits' size, their gradient.
With p the soft-max, y the label and a_c, b_c, d_c the gradients of the three sums of class c, that of logit c at a known pixel is
p_c (d_c - Σ_k p_k d_k - t) + [c = y] t with t = a_y + b_y p_y; at a void pixel it is 0, even where the logits there are no numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from intarsia.losses._labels import check_sizes, known_labels, perhaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["ClassSums", "class_sums"]

BLOCK = 1 << 15
"""Pixels worked on at a time on a CPU; an accelerator takes whole images."""


class ClassSums(NamedTuple):
    """Each (B, C), float32 or float64; void is in none."""

    log_right: Tensor
    """Σ log p_c over the pixels of class c."""
    right: Tensor
    """Σ p_c over the pixels of class c: the overlap."""
    predicted: Tensor
    """Σ p_c over all known pixels."""
    counts: Tensor
    """The pixels of class c."""

    def over_batch(self) -> ClassSums:
        """(1, C) each: those of all images together."""
        return ClassSums(*(one.sum(dim=0, keepdim=True) for one in self))


def class_sums(logits: Tensor, labels: Tensor) -> ClassSums:
    """The sums of soft-max(logits) by class: `logits` (B, C, *S) in any precision and memory format, `labels` (B, *S), -1 void.

    A label of C or more counts as void, as does any below 0. Half precision is summed in float32 without a copy of the logits.
    Raises InvalidNoun for sizes that do not fit.

    >>> sums = class_sums(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, 1, -1]]]))
    >>> sums.right.tolist(), sums.predicted.tolist(), sums.counts.tolist()
    ([[0.5, 0.5]], [[1.0, 1.0]], [[1.0, 1.0]])
    """
    check_sizes(logits, labels)
    sums, _ = torch.ops.intarsia.class_sums(logits, labels)  # (B, 4, C)
    log_right, right, predicted, counts = sums.unbind(1)
    return ClassSums(log_right, right, predicted, counts.detach())


# an operator of its own, so that torch.compile sees one node where Python sees a loop over blocks
@torch.library.custom_op("intarsia::class_sums", mutates_args=(), schema="(Tensor logits, Tensor labels) -> (Tensor, Tensor)")
def _forward(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 4, C) sums, and log Σ exp of the logits (B, *S), infinite at void so that p is 0 there, nan where that needs help."""
    channels = logits.shape[1]
    sums, normaliser = _forward_shapes(logits, labels)
    exact = torch.float32 if logits.device.type == "mps" else torch.float64  # which mps has not
    totals = torch.zeros(len(logits), 4, channels + 1, dtype=exact, device=logits.device)  # one more for void
    with torch.autocast(logits.device.type, enabled=False):
        for image, scores, label, log_sum in _blocks(logits, labels, normaliser):
            known = label >= 0
            highest = scores.amax(dim=0)  # (C, n) -> (n)
            odds = (scores - highest).exp_()  # (C, n)
            if spoilt := perhaps(~highest.sum().isfinite()):
                odds.masked_fill_(~known, 1)
            total = odds.sum(dim=0)  # (n)
            torch.add(highest, total.log(), out=log_sum)
            log_right = scores.gather(0, label.clamp(min=0)[None])[0] - log_sum  # (n)
            index = label.where(known, channels)
            totals[image, 0].index_add_(0, index, log_right.to(exact))
            totals[image, 1].index_add_(0, index, log_right.exp().to(exact))
            totals[image, 2, :channels] += odds @ (known / total)
            totals[image, 3].index_add_(0, index, known.to(exact))
            log_sum.masked_fill_(~known, torch.nan if spoilt else torch.inf)
    return sums.copy_(totals[..., :channels]), normaliser


@_forward.register_fake
def _forward_shapes(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.new_empty((len(logits), 4, logits.shape[1]), dtype=dtype), logits.new_empty(labels.shape, dtype=dtype)


@torch.library.custom_op(
    "intarsia::class_sums_backward",
    mutates_args=(),
    schema="(Tensor logits, Tensor labels, Tensor normaliser, Tensor slopes) -> Tensor",
)
def _backward(logits: Tensor, labels: Tensor, normaliser: Tensor, slopes: Tensor) -> Tensor:
    """(B, C, *S) the gradient of the logits from `slopes` (B, 4, C), those of the sums; counts have none."""
    gradient: Tensor = _backward_shapes(logits, labels, normaliser, slopes)
    with torch.autocast(logits.device.type, enabled=False):
        for image, scores, label, log_sum, out in _blocks(logits, labels, normaliser, gradient):
            log_slope, slope, everywhere, _ = slopes[image]  # (C) each
            known, label = label >= 0, label.clamp(min=0)
            p = (scores - log_sum).exp_()  # (C, n), 0 at void
            if perhaps(log_sum.sum().isnan()):
                p.masked_fill_(~known, 0)
            at_label = p.gather(0, label[None])[0].mul_(slope[label]).add_(log_slope[label].mul_(known))  # (n)
            p.mul_(everywhere[:, None] - torch.addmv(at_label, p.T, everywhere))
            out.copy_(p.scatter_add_(0, label[None], at_label[None]))
    return gradient


@_backward.register_fake
def _backward_shapes(logits: Tensor, labels: Tensor, normaliser: Tensor, slopes: Tensor) -> Tensor:
    pixels_first = {4: torch.channels_last, 5: torch.channels_last_3d}[logits.ndim]
    kept = logits.is_contiguous(memory_format=pixels_first)
    return torch.empty_like(logits, memory_format=pixels_first if kept else torch.contiguous_format)


def _blocks(logits: Tensor, labels: Tensor, normaliser: Tensor, gradient: Tensor | None = None) -> Iterator[tuple[Any, ...]]:
    """(image, logits (C, n), labels (n), normaliser (n)) by block, and the block of the gradient: views, but for the logits'
    precision and order."""
    size = labels[0].numel()
    step = BLOCK if logits.device.type == "cpu" else max(size, 1)
    for image in range(len(logits)):
        scores, label, log_sum = logits[image].flatten(1), labels[image].flatten(), normaliser[image].view(-1)  # (C, S), (S), (S)
        for start in range(0, size, step):
            block = slice(start, start + step)
            parts = (scores[:, block].to(normaliser.dtype), known_labels(label[block], len(scores)), log_sum[block])
            yield (image, *parts) if gradient is None else (image, *parts, gradient[image].flatten(1)[:, block])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.set_materialize_grads(False)


def _gradient(ctx: Any, slopes: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, None]:
    return (None if slopes is None else torch.ops.intarsia.class_sums_backward(*ctx.saved_tensors, slopes)), None


_forward.register_autograd(_gradient, setup_context=_save)
