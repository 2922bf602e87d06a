"""A training step of U-Net on ResNet-18 at 480x360, 11 classes: forward, cross-entropy + Dice, backward, AdamW, against SMP's.

    ours       SMP's network (`full_size`, `head_kernel` 3, its weights) with our loss; eager float32
    smp        segmentation_models_pytorch's Unet("resnet18") with its DiceLoss and torch's CrossEntropyLoss; eager float32
    ours last  the two in channels_last; ours is half so without it, because it normalises to it
    smp last
    defaults   what `intarsia train --encoder resnet18` makes: a network that ends at stride 2, channels_last, `--precision auto`

All see the same random pictures and labels of a few large shapes with some void. Ours takes bytes and normalises inside, SMP floats
that were normalised outside the timing. Before the timing both networks, with equal weights, must give equal logits and losses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import nn

from _rounds import medians
from intarsia.core import Targets
from intarsia.engine.devices import autocast, device_named, precision_for
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.unet import UNet

CLASSES, SIZE = 11, (360, 480)
NAMES = ("ours", "smp", "ours last", "smp last", "defaults")
GOAL = 1
"""SMP's step is to take at least this many times ours, the same network in both."""

Step = Callable[[], float]


def main() -> None:
    """Prints a row for each candidate: milliseconds, times ours, peak memory; then a verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch, as many as it likes unless said")
    options = parser.parse_args()
    device = device_named(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)

    difference = compare(device)
    steps = {name: step(name, options.batch, device) for name in NAMES}
    times = medians(steps, options.rounds)
    print(f"{'':11}{'ms':>8}{'SMP takes':>12}{'peak memory':>14}")
    for name, time in times.items():
        memory = peak(name, options.batch, str(device), options.threads)
        print(f"{name:11}{time:8.0f}{times['smp'] / time:10.2f} x{memory:10.0f} MiB")
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    print(f"batch of {options.batch} on {device}{threads}; defaults in {precision_for('auto', device)}")
    print(f"the same network: logits differ by at most {difference:.0e}")
    print(f"{times['smp'] / times['ours']:.2f} times SMP's speed, the same network (asked: {GOAL})")
    print(f"{times['smp last'] / times['ours last']:.2f} times, both in channels_last")
    print(f"{times['ours'] / times['defaults']:.2f} times our own speed by our defaults")


def network(name: str) -> nn.Module:
    """The candidate's network, with random weights that are the same wherever the network is."""
    torch.manual_seed(0)
    theirs = smp.Unet("resnet18", encoder_weights=None, classes=CLASSES)
    if name.startswith("smp"):
        return theirs
    if name == "defaults":
        return UNet(CLASSES, encoder="resnet18")
    ours = UNet(CLASSES, encoder="resnet18", full_size=True, head_kernel=3)
    blocks = [*reversed(ours.decoder), ours.enlarge]
    pairs = [(ours.encoder.network, theirs.encoder), *zip(blocks, theirs.decoder.blocks, strict=True)]
    for mine, reference in [*pairs, (ours.classify, theirs.segmentation_head)]:
        state = reference.state_dict().values()  # in the same order
        mine.load_state_dict(dict(zip(mine.state_dict(), state, strict=True)))
    return ours


def data(batch: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, 3, 360, 480) uint8 and (B, 360, 480) labels, -1 for void."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, *SIZE, 3), dtype=torch.uint8, generator=random).permute(
        0, 3, 1, 2
    )  # (B, H, W, C) -> (B, C, H, W)
    coarse = torch.randint(-1, CLASSES, (batch, 1, 9, 12), generator=random).float()
    labels = nn.functional.interpolate(coarse, SIZE, mode="nearest")[:, 0].long()  # (B, 1, 9, 12) -> (B, H, W)
    return images.to(device), labels.to(device)


def losses(name: str, net: nn.Module, batch: int, device: torch.device) -> Callable[[], torch.Tensor]:
    """The forward pass and the loss."""
    images, labels = data(batch, device)
    if name.startswith("smp"):
        floats = UNet(CLASSES, encoder="resnet18").normalise.to(device)(images).contiguous()
        floats = floats.to(memory_format=torch.channels_last) if name == "smp last" else floats
        dice, cross_entropy = smp.losses.DiceLoss("multiclass", ignore_index=-1), nn.CrossEntropyLoss(ignore_index=-1)

        def theirs() -> torch.Tensor:
            logits = net(floats)
            return dice(logits, labels) + cross_entropy(logits, labels)

        return theirs
    rows = torch.arange(CLASSES).repeat(batch, 1).to(device)
    ids = torch.where(labels < 0, -1, labels + 1)[:, None]  # (B, 1, H, W)
    loss, precision = WeightedSum(), precision_for("auto", device) if name == "defaults" else "fp32"

    def ours() -> torch.Tensor:
        with autocast(device, precision):
            output = net(images)
        targets = Targets(ids, rows, torch.zeros_like(rows, dtype=torch.bool), CLASSES)  # a new one: its views are made once
        return torch.stack(list(loss(output, targets).values())).sum()

    return ours


def step(name: str, batch: int, device: torch.device) -> Step:
    """One step of training; gives the loss, so the device is done when it returns."""
    net = network(name).to(device).train()
    net = net.to(memory_format=torch.channels_last) if "last" in name or name == "defaults" else net
    optimiser, loss_of = torch.optim.AdamW(net.parameters(), lr=1e-4), losses(name, net, batch, device)

    def trained() -> float:
        loss = loss_of()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return float(loss.detach())

    return trained


@torch.no_grad()
def compare(device: torch.device) -> float:
    """The greatest difference of the logits of both networks; fails where they or the losses are not the same."""
    ours, theirs = (network(name).to(device).eval() for name in ("ours", "smp"))
    images, _ = data(1, device)
    logits, reference = ours(images).logits, theirs(ours.normalise(images))
    torch.testing.assert_close(logits, reference, rtol=1e-3, atol=1e-3)
    first, second = (float(losses(name, net, 2, device)()) for name, net in (("ours", ours), ("smp", theirs)))
    assert abs(first - second) < 1e-3, (first, second)
    return float((logits - reference).abs().max())


def peak(name: str, batch: int, device: str, threads: int | None) -> float:
    """MiB that two steps take beyond the network itself, in a process of their own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, name, batch, device, threads).result()


def _peak(name: str, batch: int, device: str, threads: int | None) -> float:
    if threads:
        torch.set_num_threads(threads)
    train = step(name, batch, torch.device(device))
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated() / 1024
        train(), train()
        return (torch.cuda.max_memory_allocated() / 1024 - before) / 1024
    before = _status("VmRSS")
    train(), train()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> float:
    """KiB of this process, as Linux counts them; elsewhere nothing is known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) for line in lines if line.startswith(field)), float("nan"))


if __name__ == "__main__":
    main()
