"""What a training is made of, from data and options alone; the learning-rate finder probes the same."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from intarsia.core import Pixels
from intarsia.core.errors import OptionError
from intarsia.engine.class_weights import class_weights, pixel_counts
from intarsia.engine.devices import autocast, precision_for
from intarsia.engine.loader import TrainingOrder, batches
from intarsia.engine.network import Recipe, build_network
from intarsia.engine.optimisers import make_optimiser
from intarsia.engine.pictures import Examples, pipeline
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.encoders.timm_encoder import encoder_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from torch import Tensor, nn

    from intarsia.core import Batch, Sample
    from intarsia.data.dataset import Dataset
    from intarsia.engine.options import TrainOptions

__all__ = ["Ingredients"]


class Ingredients:
    """What a training needs, made from data and options alone: also what the learning-rate finder probes."""

    def __init__(self, data: Dataset, options: TrainOptions, accelerator: Accelerator) -> None:
        self.options = options
        self.accelerator = accelerator
        if len(data.classes.groups) > 1:
            raise OptionError("classes", expected="one group of classes that exclude each other", received=data.classes.groups)
        self.train_data = data.split(options.split).fraction(options.fraction, options.seed)
        first = self.train_data[0]
        self.recipe = recipe_for(first, data, options)
        self.precision = precision_for(options.precision, accelerator.device)
        torch.manual_seed(options.seed)
        network = build_network(self.recipe, **encoder_arguments(options))
        self.bare: nn.Module = network.to(memory_format=torch.channels_last if options.channels_last else torch.contiguous_format)
        self.network, self.optimiser = accelerator.prepare(self.bare, make_optimiser(self.bare, options))
        weights = None
        if options.class_weights != "none":
            weights = class_weights(options.class_weights, *pixel_counts(self.train_data, len(data.classes)))
        self.loss = WeightedSum(options.loss, class_weights=None if weights is None else weights.tolist())
        torch.manual_seed(options.seed + accelerator.process_index)  # from here on only dropout draws

    def order(self, epochs: range, first_step: int = 0) -> TrainingOrder:
        """The batches of this process."""
        share, ranks = self.accelerator.process_index, self.accelerator.num_processes
        options = self.options
        return TrainingOrder(
            len(self.train_data), options.batch_size, epochs, options.seed, first_step, options.accumulate, share, ranks
        )

    def batches(self, order: TrainingOrder, *, half: bool = False) -> Iterator[Batch]:
        """Batches on the device, augmented as the options say, at full or half size."""
        classes, options = self.recipe.classes, self.options
        transform = pipeline(self.recipe.size, options, shrink=2 if half else 1)
        examples = Examples(self.train_data, classes, self.recipe.pixels, transform, options.trained, options.seed)
        cuda = self.accelerator.device.type == "cuda"
        workers = worker_count(options.workers, cuda=cuda)
        for batch in batches(examples, order, workers=workers, pin_memory=cuda):
            yield batch.to(self.accelerator.device, non_blocking=cuda)

    def loss_of(self, batch: Batch) -> Tensor:
        """The summed loss of one batch, in mixed precision where asked."""
        with autocast(self.accelerator.device, self.precision):
            output = self.network(batch.images, batch.valid, stats=batch.stats)
        assert batch.targets is not None  # the data was checked: every training image has its truth
        losses: dict[str, Tensor] = self.loss(output, batch.targets)
        return torch.stack(list(losses.values())).sum()


def worker_count(asked: int | None, *, cuda: bool) -> int:
    """Loader processes: on a GPU as many as there are cores (8 at most); on a CPU none, since the network wants the cores."""
    return asked if asked is not None else min(8, os.cpu_count() or 1) if cuda else 0


def encoder_arguments(options: TrainOptions) -> dict[str, Any]:
    """The weights that only a fresh network takes; a checkpoint brings its own."""
    return {} if options.weights == "none" else {"weights": options.weights}


def recipe_for(first: Sample, data: Dataset, options: TrainOptions) -> Recipe:
    """How the network is made, from the options and the first training image."""
    channels = first.image.shape[-1]
    if options.mean is not None and options.std is not None:
        pixels = Pixels(mean=options.mean, std=options.std)
    else:
        pixels = encoder_pixels(options.encoder, options.weights) if options.encoder else Pixels()
    if first.image.dtype != np.uint8:
        pixels = replace(pixels, kind="per_image")  # 16 bit and float have no range of their own
    arguments = dict(options.model_args)
    if options.encoder is not None:
        arguments["encoder"] = options.encoder
    return Recipe(
        model=options.model,
        classes=data.classes,
        pixels=pixels.for_channels(channels),
        in_channels=channels,
        size=options.size or first.image.shape[:-1],
        arguments=arguments,
        origin={"data": data.name},
    )
