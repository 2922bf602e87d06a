"""Dice + cross-entropy, forward and backward, on (4, 19, 512, 1024) float32: ours against MONAI's DiceCELoss and SMP's pair.

For ours a tenth of the pixels is void; the peers get labels everywhere. Ours is `WeightedSum` from ids to gradient, as a training
step calls it. Values and gradients are compared first, on labels without void: all three take the Dice of the whole batch, over
all classes, without smoothing. Peak memory is how far the resident set of a process of its own rose, at its highest
(VmHWM; Linux), above what it was before the forward pass (VmRSS), until after the backward pass, over the size of the logits: these
are not in it, their gradient, which is as large, is.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import monai.losses
import segmentation_models_pytorch.losses as smp
import torch

from _rounds import medians
from intarsia.core import Dense, Targets
from intarsia.losses.weighted_sum import WeightedSum

SIZE = (4, 19, 512, 1024)
GOALS = {"monai": 1.5, "smp": 3.0}
"""Times each peer."""
GOAL_MEMORY = 2.0
"""Times the logits."""


def main() -> None:
    """Prints milliseconds, ratio and peak memory of each, then a verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--size", type=int, nargs=4, default=SIZE, metavar=("B", "C", "H", "W"))
    parser.add_argument("--threads", type=int, help="left out, as many as torch takes")
    parser.add_argument("--memory-of", choices=("ours", "monai", "smp"), help="print the peak memory of one, and nothing else")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        print(peak_memory(options.memory_of, tuple(options.size)))
        return
    compare(tuple(options.size))
    logits, losses = case(tuple(options.size))
    times = medians({name: lambda loss=loss: step(logits, loss) for name, loss in losses.items()}, options.rounds)
    peaks = {name: measured_apart(name, options) for name in losses}
    print(f"{'x'.join(map(str, options.size))} float32, {torch.get_num_threads()} threads, median of {options.rounds} rounds")
    for name, milliseconds in times.items():
        print(
            f"{name:6}{milliseconds:10.1f} ms{milliseconds / times['ours']:7.2f} x{peaks[name]:8.2f} times the logits at the peak"
        )
    for name, goal in GOALS.items():
        print(f"{times[name] / times['ours']:.2f} times {name} (asked: {goal})")
    print(f"{peaks['ours']:.2f} times the logits (asked: under {GOAL_MEMORY})")


def case(size: tuple[int, ...], void: float = 0.1) -> tuple[torch.Tensor, dict[str, Callable[[torch.Tensor], torch.Tensor]]]:
    """Logits, and each loss as a function of them."""
    batch, channels, *space = size
    torch.manual_seed(0)
    logits = torch.randn(size).requires_grad_()
    labels = torch.randint(channels, (batch, *space))
    ids = (labels + 1).masked_fill(torch.rand(batch, *space) < void, -1)[:, None].to(torch.int8)  # (B, L, *S)
    classes, crowd = torch.arange(channels).repeat(batch, 1), torch.zeros(batch, channels, dtype=torch.bool)
    ours = WeightedSum(options={"dice": {"smooth": 0.0}})
    both = monai.losses.DiceCELoss(to_onehot_y=True, softmax=True, batch=True, smooth_nr=0.0)
    dice, entropy = smp.DiceLoss("multiclass"), smp.SoftCrossEntropyLoss(smooth_factor=0.0)
    return logits, {
        "ours": lambda logits: sum(ours(Dense(logits), Targets(ids, classes, crowd, channels)).values()),
        "monai": lambda logits: both(logits, labels[:, None]),
        "smp": lambda logits: dice(logits, labels) + entropy(logits, labels),
    }


def step(logits: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Forward and backward, the gradient made anew."""
    logits.grad = None
    loss(logits).backward()


def compare(size: tuple[int, ...]) -> None:
    """Fails where values or gradients differ."""
    logits, losses = case((1, *size[1:]), void=0.0)
    wanted = losses["monai"](logits)
    [slope] = torch.autograd.grad(wanted, logits)
    for name in ("ours", "smp"):
        value = losses[name](logits)
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=0)
        torch.testing.assert_close(torch.autograd.grad(value, logits)[0], slope, rtol=1e-3, atol=1e-3 * float(slope.abs().max()))


def peak_memory(name: str, size: tuple[int, ...]) -> float:
    """Growth of the resident set's peak, over the size of the logits; a small step first loads what is loaded once."""
    small, losses = case((1, *size[1:2], 16, 16))
    step(small, losses[name])
    logits, losses = case(size)
    before = resident("VmRSS")  # not the mark so far, which what `case` has freed may have raised
    step(logits, losses[name])
    return (resident("VmHWM") - before) / (logits.numel() * logits.element_size())


def resident(field: str) -> int:
    """Bytes, now (VmRSS) or at their highest (VmHWM); ru_maxrss would begin with those of the process that started this one."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def measured_apart(name: str, options: argparse.Namespace) -> float:
    """`peak_memory` in a fresh process."""
    command = [sys.executable, __file__, "--memory-of", name, "--size", *map(str, options.size)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
