"""What a training is made of, from data and options alone; the learning-rate finder probes the same."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from intarsia import __version__
from intarsia.core import Pixels
from intarsia.core.errors import OptionError
from intarsia.core.licences import Licences, joined
from intarsia.engine.class_weights import class_weights, pixel_counts, rare_chances
from intarsia.engine.compiling import Compiled
from intarsia.engine.devices import autocast, precision_for
from intarsia.engine.fine_tuning import carry_over, source_of
from intarsia.engine.loader import TrainingOrder, batches
from intarsia.engine.optimisers import make_optimiser
from intarsia.engine.pictures import Examples, pipeline
from intarsia.engine.recipe import Recipe, answered, build_network, encoder_of, losses_of, spoken, tasks_of
from intarsia.engine.stages import learn
from intarsia.losses.weighted_sum import WeightedSum
from intarsia.models.blocks.annealed import Annealed
from intarsia.models.encoders.licence import encoder_data, encoder_licence
from intarsia.models.encoders.make import input_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from intarsia.core import Batch, Sample
    from intarsia.data.dataset import Dataset
    from intarsia.engine.options import TrainOptions

__all__ = ["Ingredients"]


class Ingredients:
    """What a training needs, made from data and options alone: also what the learning-rate finder probes.

    A resumed run brings the `recipe` it was started with, and needs no `fresh` weights from elsewhere.
    """

    def __init__(
        self, data: Dataset, options: TrainOptions, accelerator: Accelerator, *, recipe: Recipe | None = None, fresh: bool = True
    ) -> None:
        self.accelerator = accelerator
        self.train_data = data.split(options.split).fraction(options.fraction, options.seed)
        source = source_of(options) if fresh else None
        first = self.train_data[0]
        made = recipe or (source.recipe_for(first, data, options) if source else recipe_for(first, data, options))
        self.recipe = answered(made, options.task, options.decode_args)
        self.options = options = told(options, self.recipe)
        if self.recipe.task == "instance" and not self.recipe.classes.things:
            raise OptionError(
                "--task instance",
                expected="data with classes that are things",
                received="none",
                hint="docs/data.md says how to name them.",
            )
        if options.copy_paste and not self.recipe.classes.things:
            raise OptionError("--copy-paste", expected="data with classes that are things", received="none")
        self.precision = precision_for(options.precision, accelerator.device)
        torch.manual_seed(options.seed)
        given = {"weights": options.weights} if fresh and options.weights != "none" else {}
        network = build_network(self.recipe, **given)
        self.tell: Callable[[str], object] = print
        self.notes = list(data.notes)  # what to tell before the first epoch
        if source:
            carry_over(source.network, source.recipe.classes, network, self.recipe.classes, self.recipe.in_channels)
            self.notes.append(source.told(self.recipe.classes))
        learn(network, options, 0)
        self.bare: nn.Module = network.to(memory_format=torch.channels_last if options.channels_last else torch.contiguous_format)
        self.network, self.optimiser = accelerator.prepare(self.bare, make_optimiser(self.bare, options))
        self.forward = self._forward()
        weights = None
        if options.class_weights != "none":
            weights = class_weights(options.class_weights, *self.pixel_counts, beta=options.effective_beta)
        self.loss = WeightedSum(
            options.loss,
            class_weights=None if weights is None else weights.tolist(),
            options=options.loss_args,
            aux_weight=options.aux_weight,
            groups=self.recipe.classes.group_indices,
            things=self.recipe.classes.is_thing.nonzero()[0].tolist(),
        )
        torch.manual_seed(options.seed + accelerator.process_index)  # from here on only dropout draws

    @cached_property
    def pixel_counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(C,) the pixels of each channel in the training images, and (C,) those of the images it occurs in."""
        return pixel_counts(self.train_data, self.recipe.classes.channels, which=self.options.which)

    @property
    def chances(self) -> tuple[float, ...] | None:
        """Those of each class to have a crop laid around it, where rare crops are asked for."""
        return rare_chances(self.pixel_counts[0], len(self.recipe.classes)) if self.options.rare_crops else None

    def class_shares(self) -> dict[str, float]:
        """The share of each class in the labelled pixels of the training images."""
        counts = self.pixel_counts[0]
        return dict(zip(self.recipe.classes.names, (counts / max(counts.sum(), 1)).tolist(), strict=False))

    def begin(self, done: float) -> None:
        """Puts the network into the mode in which it learns once `done` of the training is done; where that freezes or thaws
        parameters, several processes exchange gradients anew."""
        changed = learn(self.bare, self.options, done)
        if changed and self.accelerator.num_processes > 1:
            self.accelerator._models.clear()
            self.network = self.accelerator.prepare_model(self.bare)
            self.forward = self._forward()

    def anneal(self, done: float) -> None:
        """Tells the parts of the network that change over the training that `done` of it is done."""
        for module in self.annealed:
            module.progress.fill_(done)

    @cached_property
    def annealed(self) -> list[Annealed]:
        """Those parts; of most networks there are none."""
        return [module for module in self.bare.modules() if isinstance(module, Annealed)]

    def _forward(self) -> Callable[..., Any]:
        """The network, compiled where asked."""
        return Compiled(self.network, self._say) if self.options.compile else self.network

    def _say(self, text: str) -> None:
        self.tell(text)

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
        transform = pipeline(self.recipe.size, options, shrink=2 if half else 1, chances=self.chances)
        examples = Examples(self.train_data, classes, self.recipe.pixels, transform, options.which, options.seed)
        cuda = self.accelerator.device.type == "cuda"
        for batch in batches(examples, order, workers=self.workers, pin_memory=cuda):
            yield batch.to(self.accelerator.device, non_blocking=cuda)

    @property
    def workers(self) -> int:
        """Loader processes: as asked; else as many as cores (8 at most) for a GPU, none for a CPU, which the network wants."""
        automatic = min(8, os.cpu_count() or 1) if self.accelerator.device.type == "cuda" else 0
        return automatic if self.options.workers is None else self.options.workers

    def loss_of(self, batch: Batch) -> Tensor:
        """The summed loss of one batch, in mixed precision where asked."""
        with autocast(self.accelerator.device, self.precision):
            output = self.forward(batch.images, batch.valid, batch.targets, stats=batch.stats)
        assert batch.targets is not None  # the data was checked: every training image has its truth
        losses: dict[str, Tensor] = self.loss(output, batch.targets)
        return torch.stack(list(losses.values())).sum()


def recipe_for(first: Sample, data: Dataset, options: TrainOptions) -> Recipe:
    """How the network is made, from the options and the first training image."""
    channels = first.image.shape[-1]
    model, arguments = options.model or "unet", dict(options.model_args)
    if options.encoder is not None:
        arguments["encoder"] = options.encoder
    encoder = encoder_of(model, arguments)
    if options.mean is not None and options.std is not None:
        pixels = Pixels(mean=options.mean, std=options.std)
    else:
        pixels = input_pixels(None, encoder, options.weights)
    learnt_from = joined(encoder_data(encoder or "", options.weights), data.licence)
    return Recipe(
        model=model,
        classes=spoken(model, data.classes),
        pixels=pixels.for_image(first.image),
        in_channels=channels,
        size=options.size or first.image.shape[:-1],
        arguments=arguments,
        task=tasks_of(model)[0],
        origin={"data": data.name, "data_hash": data.fingerprint(), "intarsia": __version__},
        licences=Licences(weights=encoder_licence(encoder or "", options.weights), data=learnt_from),
    )


def told(options: TrainOptions, recipe: Recipe) -> TrainOptions:
    """The options with what they leave to the model and the task filled in."""
    task: Any = recipe.task
    known = replace(options, model=recipe.model, task=task)
    return replace(known, trained=known.which, loss=known.loss or losses_of(recipe.model))
