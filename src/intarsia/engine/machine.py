"""What a training would run on, and what can be had there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

__all__ = ["ENCODERS", "Machine", "machine"]

ENCODERS = {"cpu": ("mobilenetv2_100", "timm/mobilenetv2_100.ra_in1k"), "cuda": ("resnet50", "timm/resnet50.a1_in1k")}
"""The encoder for a kind of device, and where the hub has its weights."""


@dataclass(frozen=True)
class Machine:
    """What a training would run on."""

    device: str
    """cpu or cuda."""
    cores: int
    memory: float
    """GiB of the device."""
    weights: bool
    """Whether timm's weights can be had: from the cache, or because the hub can be reached."""


def machine() -> Machine:
    """The device that `auto` would take, its memory, and whether pretrained weights can be had."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if torch.cuda.is_available():
        return Machine("cuda", cores, torch.cuda.get_device_properties(0).total_memory / 2**30, _weights("cuda"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 8.0
    return Machine("cpu", cores, memory, _weights("cpu"))


def _weights(device: str) -> bool:
    """Whether the encoder's weights are in the cache, or the hub answers within two seconds."""
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(ENCODERS[device][1], "model.safetensors"), str):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        socket.create_connection(("huggingface.co", 443), timeout=2).close()
    except OSError:
        return False
    return True
