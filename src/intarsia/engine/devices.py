"""Device and precision: what `auto` means, and the one Accelerator of a command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState

from intarsia.core.errors import OptionError

if TYPE_CHECKING:
    from intarsia.engine.options import TrainOptions

__all__ = ["accelerator_for", "autocast", "device_named", "precision_for"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def device_named(name: str) -> torch.device:
    """`auto` is the GPU where there is one, else the CPU; anything else is torch's own name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OptionError(
            "--device",
            expected="a device of this machine: auto, cpu, cuda, cuda:1 or mps",
            received=repr(name),
            hint="Use --device cpu.",
        ) from error
    return device


def precision_for(name: str, device: torch.device) -> str:
    """`auto` is bf16 where the hardware multiplies in it, else fp32: an emulated bf16 halves the speed of a CPU."""
    if name not in ("auto", *DTYPES):
        raise OptionError("--precision", expected="auto, fp32, bf16 or fp16", received=repr(name))
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # Without a public query in torch, the private one is asked with care: its absence means fp32.
    native = [getattr(torch.cpu, query, None) for query in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return "bf16" if device.type == "cpu" and any(query() for query in native if query) else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision for a forward pass; `fp32` changes nothing."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32")


def accelerator_for(options: TrainOptions) -> Accelerator:
    """The Accelerator of one command: devices and processes as `torchrun` or `accelerate launch` started them.

    Autocast is ours (`autocast`), because accelerate's does not know dataclasses; the gradient scaler of fp16 is its.
    """
    device = device_named(options.device)
    if PartialState._shared_state.get("distributed_type", "NO") == "NO":
        AcceleratorState._reset_state(reset_partial_state=True)  # several trainings in one process may differ in precision
    if device.type == "cuda" and device.index is not None and "LOCAL_RANK" not in os.environ:
        torch.cuda.set_device(device)  # accelerate takes the current one; of several processes each has its own
    fp16 = precision_for(options.precision, device) == "fp16"
    return Accelerator(mixed_precision="fp16" if fp16 else "no", cpu=device.type == "cpu")
