"""The table of networks: what each costs, what it is for, what may be done with it."""

from __future__ import annotations

from inspect import signature
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from intarsia.core.catalogue import find, members
from intarsia.core.errors import IntarsiaError
from intarsia.core.licences import Licences
from intarsia.engine.devices import autocast, device_named, precision_for
from intarsia.engine.recipe import encoder_of
from intarsia.models.encoders.licence import encoder_licence

if TYPE_CHECKING:
    from torch import nn

__all__ = ["describe_models", "describe_pretrained", "multiply_adds"]

CLASSES, CHANNELS, SIZE = 11, 3, (360, 480)
"""What every network of the table is made for, and shown: (H, W) of CamVid at half size."""
WARM_UP, ROUNDS = 2, 7


def describe_models(encoder: str | None = None, *, measure: bool = False, device: str = "auto") -> list[dict[str, Any]]:
    """Each network of the catalogue as a plain row: on its own encoder, or on `encoder` where it takes the name of one.

    `parameters` and `multiply_adds` are for 3 channels in, 11 classes out and one image of 480x360. `licences` are those of our
    code and of timm's weights for the encoder. `measure` adds `latency_ms`, on a GPU `memory_mib`, and `device`, `precision` and
    `threads` they were taken with. A network that cannot stand on `encoder` says why in `refused`.
    """
    return [_described(name, encoder, device_named(device) if measure else None) for name in members("models")]


def _described(name: str, encoder: str | None, device: torch.device | None) -> dict[str, Any]:
    """The row of one network; its latency where there is a device to take it on."""
    make = find("models", name)
    chosen = encoder is not None and "encoder" in signature(make).parameters
    arguments = {"encoder": encoder} if chosen else {}
    standing = encoder_of(name, arguments)
    row = {
        "name": name,
        "kind": "network",
        "about": (make.__doc__ or "").strip().partition("\n")[0],
        "task": make.task,
        "encoder": standing,
        "parameters": None,
        "multiply_adds": None,
        "exports": list(make.exports),
        "licences": Licences(weights=encoder_licence(standing, "timm") if standing else "none").to_dict(),
        "origin": make.origin,
    }
    try:
        with torch.device("meta"):  # no memory, hardly any time
            network = make(CLASSES, CHANNELS, **arguments)
        row["parameters"] = sum(parameter.numel() for parameter in network.parameters())
        row["multiply_adds"] = multiply_adds(network, SIZE)
        if device is not None:
            row |= _measured(make(CLASSES, CHANNELS, **arguments), device)
    except (IntarsiaError, RuntimeError, AssertionError) as error:  # what torch and timm say of an encoder that does not fit
        if not chosen:
            raise
        row["refused"] = str(error).splitlines()[0]
    return row


def describe_pretrained() -> list[dict[str, Any]]:
    """Each network of others that `load` translates as a plain row of the same fields."""
    return []


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> int:
    """Those of the convolutions, matrix products and attention in one prediction for one image of (H, W), no other operation.

    The network may lie on the meta device, where nothing is computed.

    >>> from intarsia.models.unet import UNet
    >>> multiply_adds(UNet(11, widths=(4, 8)), (2, 2))
    4352
    """
    device = next(network.parameters()).device
    images = torch.zeros(1, CHANNELS, *size, device=device)
    counter = FlopCounterMode(display=False)
    training = network.training
    with counter, torch.inference_mode():
        network.eval()(images)
    network.train(training)
    return int(counter.get_total_flops()) // 2  # it counts a multiplication and an addition as two


def _measured(network: nn.Module, device: torch.device) -> dict[str, Any]:
    """The median time of a prediction as `Model` makes it, after some that warm up."""
    precision = precision_for("auto", device)
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    images = torch.zeros(1, CHANNELS, *SIZE, dtype=torch.uint8, device=device)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)

    @torch.inference_mode()
    def seconds() -> float:
        begin = perf_counter()
        with autocast(device, precision):
            network(images)
        if cuda:
            torch.cuda.synchronize(device)
        return perf_counter() - begin

    times = [seconds() for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    return {
        "latency_ms": round(1000 * median(times), 2),
        "memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if cuda else None,
        "device": str(device),
        "precision": precision,
        "threads": torch.get_num_threads(),
    }
