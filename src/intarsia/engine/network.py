"""A trained network as a Predictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from intarsia.core import Sample
from intarsia.core.catalogue import find
from intarsia.core.errors import DataError, OptionError
from intarsia.core.files import whole_file, write_json
from intarsia.data.image_sample import image_sample
from intarsia.decode import decoded, flipped
from intarsia.engine.checkpoint import write_tensors
from intarsia.engine.devices import autocast, device_named, precision_for
from intarsia.engine.loader import collate
from intarsia.engine.model_card import model_card
from intarsia.engine.recipe import answered
from intarsia.engine.sources import network_from
from intarsia.transforms import evaluation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from intarsia.core import Batch, ClassSet, Image, Output, Segments
    from intarsia.engine.recipe import Recipe

__all__ = ["Model", "score", "segment"]

CHANNELS = "Save it with as many, for instance without alpha."
SURE = 0.5
"""The score from which on an instance is shown; metrics ask for all."""
EIGHT_BITS = (
    "Scale it to 0..255 and save it as uint8, as the training images were; a network for 16 bits is trained on such images."
)


@torch.inference_mode()
def score(network: nn.Module, batch: Batch, precision: str) -> Output:
    """What the network, in evaluation mode and on its device, says of a batch: arrays of numpy, float32."""
    device = next(network.parameters()).device
    moved = replace(batch, targets=None).to(device, non_blocking=True)
    with autocast(device, precision):
        output = network(moved.images, moved.valid, stats=moved.stats)
    arrays: Output = pytree.tree_map_only(Tensor, lambda tensor: tensor.float().cpu().numpy(), output)
    return arrays


def segment(network: nn.Module, batch: Batch, recipe: Recipe, precision: str, *, confidence: bool = False) -> list[Segments]:
    """The segments of each image of a batch, at the size of its file, with the confidence of each pixel if so asked."""
    output, classes = score(network, batch, precision), recipe.classes
    answers: list[Segments] = find("decode", recipe.task)(output, batch.sizes, classes, confidence=confidence, **recipe.decode)
    return answers


class Model:
    """A trained network with its recipe: a Predictor, image to Segments.

    A folder of `save_pretrained` and a single checkpoint file are both read by `from_pretrained`.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        *,
        task: str | None = None,
        decode_args: Mapping[str, Any] | None = None,
        device: str = "auto",
        precision: str = "auto",
        flip: bool = False,
    ) -> None:
        """`task` and `decode_args` ask the same network otherwise than it was trained to be: see `answered`."""
        self.device = device_named(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self.recipe = answered(recipe, task, decode_args)
        self.precision = precision_for(precision, self.device)
        self.flip = flip

    def __repr__(self) -> str:
        recipe, names = self.recipe, ", ".join(self.classes.names[:4]) + ", ..." * (len(self.classes) > 4)
        return f"Model({recipe.model}, {recipe.task}, {len(self.classes)} classes ({names}), on {self.device}, {self.precision})"

    @property
    def classes(self) -> ClassSet:
        """What the predicted classes mean."""
        return self.recipe.classes

    def __call__(self, image: Image, *, confidence: bool = False) -> Segments:
        """The segments of one image (*S, C), at its own size."""
        if image.shape[-1] != self.recipe.in_channels:
            raise DataError(
                "image",
                expected=f"{self.recipe.in_channels} channels, as in training",
                received=f"shape {image.shape}",
                hint=CHANNELS,
            )
        if self.recipe.pixels.kind == "fixed" and image.dtype != np.uint8:
            raise DataError("image", expected="8-bit values, as in training", received=str(image.dtype), hint=EIGHT_BITS)
        scorer = flipped(self.score) if self.flip else self.score
        decode = find("decode", self.recipe.task)
        return decoded(scorer, self.classes, decode, confidence=confidence, **self.recipe.decode)(image)

    def shown(self, image: Image, min_score: float | None = None) -> Segments:
        """The answer as people want it: segments of `min_score` or more, left out, of instances those that are surer than not."""
        if min_score is not None and not 0 <= min_score <= 1:
            raise OptionError("--min-score", expected="a score from 0 to 1", received=min_score)
        answer, least = self(image), SURE if self.recipe.task == "instance" else 0.0
        return answer.select(answer.scores >= (least if min_score is None else min_score))

    def asked(self, task: str | None = None, decode_args: Mapping[str, Any] | None = None) -> Model:
        """The same network, asked for another task or by other thresholds."""
        recipe = answered(self.recipe, task, decode_args)
        return Model(self.network, recipe, device=str(self.device), precision=self.precision, flip=self.flip)

    def score(self, image: NDArray[Any], /, *, stats: NDArray[np.float32] | None = None) -> Output:
        """The network as a Scorer: one image (*S, C), brought to the recipe's size, to its Output in numpy."""
        sample = Sample(image, stats=self.recipe.pixels.stats(image) if stats is None else stats)
        resized = evaluation(self.recipe.size)(sample, np.random.default_rng(0), None)
        return score(self.network, collate([resized], len(self.classes)), self.precision)

    def predict(
        self, image: str | Path | NDArray[Any], *, min_score: float | None = None, spacing: tuple[float, ...] | None = None
    ) -> Sample:
        """The image, from a file or as an array (H, W, C), with the predicted segments: to be shown, saved or counted.

        Those of `min_score` or more, by default of instances those of 0.5; `model(image)` gives all. `spacing` is mm a pixel along
        each axis; a GeoTIFF knows its own.
        """
        sample = image_sample(Path(image), spacing) if isinstance(image, str | Path) else Sample(image, spacing=spacing)
        try:
            return replace(sample, segments=self.shown(sample.image, min_score), classes=self.classes)
        except DataError as error:
            raise DataError(f"{image}: {error}" if sample.key else str(error)) from error

    def save_pretrained(self, folder: str | Path) -> Path:
        """`config.json`, `model.safetensors` and a card `README.md`, as the Hugging Face hub expects; the folder is returned."""
        folder = Path(folder)
        write_tensors(folder / "model.safetensors", self.network.state_dict(), self.recipe.to_dict())
        write_json(folder / "config.json", self.recipe.to_dict())
        with whole_file(folder / "README.md") as draft:
            draft.write_text(model_card(self.recipe, folder.name), encoding="utf-8")
        return folder

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        file: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        flip: bool = False,
        task: str | None = None,
        decode_args: Mapping[str, Any] | None = None,
        revision: str | None = None,
    ) -> Model:
        """From a checkpoint, a folder of `save_pretrained`, a run folder (its best weights), or what others have trained:
        `torchvision:NAME` (`torchvision:NAME=FILE`, or `file`, takes the weights from a file of yours), or a network of
        transformers, `hf:org/name` of the Hugging Face hub or a folder with its config.json. A model of ours on the hub is
        `hf:org/name` too.

        Raises CheckpointError where there is none, or where weights and recipe do not fit.
        """
        network, recipe = network_from(source, file=file, revision=revision)
        return cls(network, recipe, task=task, decode_args=decode_args, device=device, precision=precision, flip=flip)
