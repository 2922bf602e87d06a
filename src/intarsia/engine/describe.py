"""The table of networks: what each costs, what it is for, what may be done with it."""

from __future__ import annotations

from functools import partial
from inspect import getdoc, getmodule, signature
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from intarsia.core import ClassSet, Sample
from intarsia.core.catalogue import find, members
from intarsia.core.errors import IntarsiaError, OptionError
from intarsia.core.licences import Licences
from intarsia.engine.devices import device_named, precision_for
from intarsia.engine.loader import collate
from intarsia.engine.network import score
from intarsia.engine.recipe import encoder_of
from intarsia.models.encoders.licence import timm_licence
from intarsia.models.encoders.make import make_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

__all__ = ["describe_all", "measured", "multiply_adds"]

CLASSES, CHANNELS, SIZE = 11, 3, (360, 480)
"""What every network of the table is made for, and shown: (H, W) of CamVid at half size."""
WARM_UP, ROUNDS = 2, 7


def describe_all(
    encoder: str | None = None, *, measure: bool = False, device: str = "auto", license: str | None = None
) -> list[dict[str, Any]]:
    """Our networks, then those of others, as plain rows; with `encoder` only ours that take one, all on it.

    `license`, "commercial", keeps those whose licences allow the use: of ours the code, as they come without weights, of others
    the weights too. Raises OptionError for an encoder that is not there.
    """
    if license not in (None, "commercial"):
        raise OptionError("license", expected="'commercial' or none", received=repr(license))
    place = device_named(device) if measure else None
    if encoder is None:
        rows = [*_networks(None, place), *_of_torchvision(place), *_of_transformers()]
    else:
        with torch.device("meta"):
            make_encoder(encoder)
        rows = list(_networks(encoder, place))
    return [row for row in rows if license is None or Licences(**row["licences"]).commercial]


def _networks(encoder: str | None, device: torch.device | None) -> Iterator[dict[str, Any]]:
    """Each member of `models/` on its own encoder, or each that takes one on `encoder`; one that cannot stand on it says why in
    `refused`. `timm_weights` is the licence of timm's for the encoder, None where timm has none.
    """
    for name in members("models"):
        make = find("models", name)
        if encoder is not None and "encoder" not in signature(make).parameters:
            continue
        arguments = {} if encoder is None else {"encoder": encoder}
        standing = encoder_of(name, arguments)
        row = {
            "name": name,
            "kind": "network",
            "about": " ".join((getdoc(getmodule(make)) or "").partition("\n\n")[0].split()),
            **_facts(name, standing, Licences()),
            "timm_weights": timm_licence(standing) if standing else None,
        }
        try:
            channels = CLASSES + (make.tasks[0] != "semantic")  # one of objects speaks of nothing too
            row |= _cost(partial(make, channels, CHANNELS, **arguments), device)
        except (IntarsiaError, RuntimeError, AssertionError) as error:  # what torch and timm say of an encoder that does not fit
            if encoder is None:
                raise
            row["refused"] = str(error).splitlines()[0]
        yield row


def _of_torchvision(device: torch.device | None) -> Iterator[dict[str, Any]]:
    """Each network of torchvision that `load` translates, for its own classes."""
    from intarsia.models.pretrained.from_torchvision import listed

    for name, model, arguments, channels, about, licences in listed():
        yield {
            "name": f"torchvision:{name}",
            "kind": "pretrained",
            "about": about,
            **_facts(model, encoder_of(model, arguments), licences),
            **_cost(partial(find("models", model), channels, CHANNELS, **arguments), device),
        }


def _of_transformers() -> Iterator[dict[str, Any]]:
    """The networks of transformers whose licence is known by name, a row for all sizes; `load` takes others of the kind too."""
    from intarsia.models.pretrained.from_transformers import DATA, MODELS, PUBLISHERS

    for prefix, weights in PUBLISHERS.items():
        model = next(kind for kind in MODELS if kind in prefix)
        told = [terms for word, terms in DATA.items() if word in prefix] or list(DATA.values())  # else a size's name tells
        yield {
            "name": f"hf:{prefix}*",
            "kind": "pretrained",
            "about": f"Every {model} of transformers, here by {prefix.partition('/')[0]}.",
            **_facts(model, None, Licences(weights=weights, data="; ".join(dict.fromkeys(told)))),
        }


def _facts(model: str, encoder: str | None, licences: Licences) -> dict[str, Any]:
    """What a row tells of its network without building it; the size is still to come."""
    make = find("models", model)
    return {
        "network": model,
        "encoder": encoder,
        "parameters": None,
        "multiply_adds": None,
        "task": " ".join(make.tasks),
        "exports": list(make.exports),
        "licences": licences.to_dict(),
        "origin": make.origin,
    }


def _cost(make: Callable[[], nn.Module], device: torch.device | None) -> dict[str, Any]:
    """The size of a network, and its latency where there is a device to take it on."""
    with torch.device("meta"):  # no memory, hardly any time
        network = make()
    size = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": multiply_adds(network, SIZE),
    }
    return size if device is None else {**size, **measured(make(), device)}


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> int | None:
    """Those of the convolutions, matrix products and attention in one prediction for one image of (H, W), no other operation.

    The network may lie on the meta device, where nothing is computed; None for one whose work depends on what it sees there, as
    that of one that finds boxes first does.

    >>> from intarsia.models.unet import UNet
    >>> multiply_adds(UNet(11, widths=(4, 8)), (2, 2))
    4352
    """
    device = next(network.parameters()).device
    images = torch.zeros(1, network.get_buffer("normalise.mean").numel(), *size, device=device)
    counter = FlopCounterMode(display=False)
    training = network.training
    learning = [one for one in network.parameters() if one.requires_grad]
    try:
        network.requires_grad_(False)  # the counter stumbles over one that is handed to a module as input
        with counter, torch.inference_mode():
            network.eval()(images)
    except NotImplementedError:  # what torch says of indices that depend on values
        return None
    finally:
        network.train(training)
        for one in learning:
            one.requires_grad_(True)
    return int(counter.get_total_flops()) // 2  # it counts a multiplication and an addition as two


def _classes(channels: int, task: str) -> ClassSet:
    """Class names for a network of so many channels, all countable."""
    names = tuple(f"class{index}" for index in range(channels - (task != "semantic")))
    return ClassSet(names, things=names, nothing=task != "semantic")


def measured(network: Any, device: torch.device) -> dict[str, Any]:
    """The median time of a prediction for one image of 480x360, after some that warm up: from the image to labels at its size, so
    that networks whose scores are coarse and those whose are fine can be compared."""
    precision = precision_for("auto", device)
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, CHANNELS), dtype=np.uint8)
    classes, task = _classes(network.arguments["channels"], network.tasks[0]), network.tasks[0]
    batch, decode = collate([Sample(image)], 1), find("decode", task)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)

    def seconds() -> float:
        begin = perf_counter()
        output: Any = score(network, batch, precision)  # in numpy, so that it has been waited for
        decode(output, batch.sizes, classes)
        return perf_counter() - begin

    times = [seconds() for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    return {
        "latency_ms": round(1000 * median(times), 2),
        "memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if cuda else None,
        "device": str(device),
        "precision": precision,
        "threads": torch.get_num_threads(),
    }
