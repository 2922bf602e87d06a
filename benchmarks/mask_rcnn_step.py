"""A training step of Mask R-CNN on a ResNet-18 pyramid, two images of 320x320, 8 classes: forward, backward, AdamW.

Against torchvision's, the same network.

    ours              `MaskRCNN(encoder="resnet18")` with torchvision's weights; eager float32
    torchvision       MaskRCNN on resnet_fpn_backbone("resnet18"), no resizing; eager float32
    ours last         the two in channels_last, as the engine trains ours
    torchvision last
    light             ours with `LIGHT`, for a CPU, in channels_last

Ours takes bytes and ids, theirs normalises floats too but is given boxes and masks that were made outside the timing, as its data
sets give them. Before the timing both networks, with equal weights, draw the same regions and must give equal losses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torchvision.models.detection import MaskRCNN as TheirMaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from _rounds import medians
from intarsia.core import Targets
from intarsia.engine.devices import device_named
from intarsia.models import _objects
from intarsia.models.mask_rcnn import MaskRCNN
from intarsia.models.pretrained._torchvision_mask_rcnn import translated

Step = Callable[[], None]

CLASSES, BATCH, SIZE, OBJECTS = 8, 2, (320, 320), 10
GOAL = 1
"""Torchvision's step is to take at least this many times ours, the same network in both."""
LIGHT = {"width": 96, "box_width": 256, "mask_width": 96, "mask_layers": 3, "proposals": 256, "region_samples": 128}
LOSSES = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
"""Torchvision's names, in the order of ours."""


def main() -> None:
    """Prints a row for each candidate and a verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch, as many as it likes unless said")
    options = parser.parse_args()
    device = device_named(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)

    difference = compare()
    theirs, ours = pair()
    theirs_last, ours_last = (network.to(memory_format=torch.channels_last) for network in pair())
    light = MaskRCNN(CLASSES + 1, encoder="resnet18", **LIGHT).to(memory_format=torch.channels_last)
    given, targets = truth()
    raw = torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8, device=device)
    pictures = [image / 255 for image in raw]
    there = [{name: tensor.to(device) for name, tensor in one.items()} for one in given]
    here = targets.to(device)

    def of_ours(network: MaskRCNN) -> Step:
        return step(network.to(device), lambda: network(raw, None, here).losses)

    def of_theirs(network: Any) -> Step:
        return step(network.to(device), lambda: network(pictures, there))

    steps = {
        "ours": of_ours(ours),
        "torchvision": of_theirs(theirs),
        "ours last": of_ours(ours_last),
        "torchvision last": of_theirs(theirs_last),
        "light": of_ours(light.train()),
    }
    times = medians(steps, options.rounds)
    for name, time in times.items():
        print(f"{name:18}{time:8.0f} ms{times['torchvision'] / time:8.2f} x")
    print(f"batch of {BATCH} on {device}" + (f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""))
    print(f"the same network: losses differ by at most {difference:.0e} of their size")
    print(f"{times['torchvision'] / times['ours']:.2f} times torchvision's speed, the same network (asked: {GOAL})")
    print(f"{times['torchvision last'] / times['ours last']:.2f} times, both in channels_last")


def pair() -> tuple[Any, MaskRCNN]:
    """Torchvision's network, random, and ours of the same weights, both in training mode."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=torch.nn.BatchNorm2d, trainable_layers=5)
    theirs = TheirMaskRCNN(backbone, CLASSES + 1, _skip_resize=True)
    ours = MaskRCNN(CLASSES + 1, encoder="resnet18")
    state, _ = translated(theirs.state_dict(), range(1, CLASSES + 1))
    wanted = ours.state_dict()
    ours.load_state_dict({**wanted, **{name: tensor.view_as(wanted[name]) for name, tensor in state.items()}})
    return theirs.train(), ours.train()


def truth() -> tuple[list[dict[str, torch.Tensor]], Targets]:
    """Ellipses of 20 to 160 pixels, later ones above: as torchvision wants them and as ids."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(*map(torch.arange, SIZE), indexing="ij")
    ids = torch.zeros(BATCH, 1, *SIZE, dtype=torch.int16)
    for image in ids:
        for row in range(OBJECTS):
            top, left, tall, wide = (torch.rand(4, generator=generator) * torch.tensor([280, 280, 70, 70])).tolist()
            image[0, ((y - top - 20) / (10 + tall)) ** 2 + ((x - left - 20) / (10 + wide)) ** 2 <= 1] = row + 1
    classes = torch.randint(0, CLASSES, (BATCH, OBJECTS), generator=generator)
    targets = Targets(ids, classes, torch.zeros(BATCH, OBJECTS, dtype=torch.bool), CLASSES)
    given = []
    for image in range(BATCH):
        masks, boxes = targets.masks(image), targets.boxes()[image]
        seen = masks.flatten(1).any(dim=1)
        given.append({"boxes": boxes[seen], "labels": classes[image][seen] + 1, "masks": masks[seen].to(torch.uint8)})
    return given, targets


def compare() -> float:
    """The largest difference between the two networks' losses, as a share; raises ValueError where they are not the same."""
    theirs, ours = pair()
    given, targets = truth()
    raw = torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8)
    _objects.ALIGNED = False  # torchvision's masks lie half a pixel further
    try:
        torch.manual_seed(1)
        expected = theirs([image / 255 for image in raw], given)
        torch.manual_seed(1)
        losses = ours(raw, None, targets).losses or {}
    finally:
        _objects.ALIGNED = True
    pairs = zip(losses.values(), (expected[name] for name in LOSSES), strict=True)
    difference = max(float((abs(mine - other) / other).detach()) for mine, other in pairs)
    if difference > 0.01:  # a proposal more or less where two are equal but for rounding
        raise ValueError(f"the losses differ by {difference:.0%}")
    return difference


def step(network: torch.nn.Module, losses: Callable[[], Any]) -> Step:
    """One step of training."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def run() -> None:
        loss = torch.stack(list(losses().values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        float(loss.detach())  # so that it has been waited for

    return run


if __name__ == "__main__":
    main()
