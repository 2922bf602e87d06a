"""What one process, or each of several, does in test_engine_distributed: an evaluation, then one step. Run by torchrun."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState

from intarsia.core import ClassSet, Sample, Segments
from intarsia.data.dataset import Dataset
from intarsia.engine.devices import accelerator_for
from intarsia.engine.evaluate import evaluate_network
from intarsia.engine.ingredients import Ingredients
from intarsia.engine.optimisers import set_rate
from intarsia.engine.options import TrainOptions
from intarsia.engine.train import accumulated_step


def uneven_data(count: int) -> Dataset:
    """Noise whose shares of void differ from image to image: where a mean over pixels depends on how the pixels are grouped."""
    rng = np.random.default_rng(0)
    samples = []
    for index in range(count):
        labels = rng.integers(0, 3, (12, 12))
        labels[: index + 1] = -1
        samples.append(Sample(rng.integers(0, 256, (12, 12, 3), np.uint8), Segments.from_semantic(labels, 3), str(index)))
    return Dataset.from_samples(samples, ClassSet(("a", "b", "c")), splits={str(index): "train" for index in range(count)})


def outcome() -> dict:
    """The confusion and keys of an evaluation, and the gradient of one step on four images, whatever the number of processes."""
    data, ranks = uneven_data(7), PartialState(cpu=True).num_processes
    options = TrainOptions(
        model="plain_network:Plain", batch_size=4 // ranks, optimizer="sgd", lr=1.0, momentum=0.0, weight_decay=0.0, augment=False,
        loss={"cross_entropy": 1.0}, device="cpu", precision="fp32",
    )  # fmt: skip
    parts = Ingredients(data, options, accelerator_for(options))
    metric = evaluate_network(parts.bare, data, parts.recipe, batch_size=2)
    set_rate(parts.optimiser, 1.0)
    before = flat_weights(parts)
    accumulated_step(parts, [next(parts.batches(parts.order(range(1))))])
    gradient = before - flat_weights(parts)
    return {"gradient": gradient.tolist(), "confusion": metric.compute().confusion.tolist(), "keys": sorted(metric.keys)}


def flat_weights(parts: Ingredients) -> torch.Tensor:
    """All parameters in one vector, copied."""
    return torch.cat([parameter.detach().flatten() for parameter in parts.bare.parameters()])


if __name__ == "__main__":
    answer = outcome()
    if PartialState().is_main_process:
        Path(sys.argv[1]).write_text(json.dumps({**answer, "processes": PartialState().num_processes}))
    PartialState().destroy_process_group()
