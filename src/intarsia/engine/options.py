"""The options of the commands: typed, checked at birth, kept as TOML. Loads neither torch nor numpy.

The string under a field is its help on the command line; `Annotated` holds its bounds, so text, type and rule stand side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from intarsia.core.catalogue import members
from intarsia.core.errors import OptionError, nearest
from intarsia.engine.settings import Within, checked, flag, from_toml, to_toml

__all__ = ["FineTuneOptions", "LrFindOptions", "TrainOptions", "from_toml", "to_toml"]

Whole = Annotated[int, Within(0)]
Count = Annotated[int, Within(1)]
Share = Annotated[float, Within(0, 1)]
Amount = Annotated[float, Within(0)]


TRAINED: dict[str, Literal["classes", "all", "things"]] = {"semantic": "classes", "instance": "things", "panoptic": "all"}
"""The segments that a task trains."""
PLACES = (
    "task", "format", "data_args", "split", "val_split", "fraction", "waive", "workers", "checkpoint_minutes", "checkpoint_steps",
    "device", "precision", "channels_last", "compile", "seed", "name", "out", "track",
)  # fmt: skip
"""The options that say what is trained on and where, not how."""


@dataclass(frozen=True)
class TrainOptions:
    """What `intarsia train` can be told; every field has a default, and a wrong value raises OptionError naming its flag.

    >>> TrainOptions(epochs=0)
    Traceback (most recent call last):
    intarsia.core.errors.OptionError: --epochs: expected a whole number of at least 1, received 0
    """

    # -- network ---------------------------------------------------------------------------------------------------------------
    task: Literal["semantic", "instance", "panoptic"] | None = None
    """A class for each pixel, each object apart, or both at once; left out, what the model is for."""
    model: str | None = None
    """A model of the catalogue (`intarsia models`), or 'package.module:Name'; left out, what start_from brings, else unet."""
    model_args: dict[str, Any] = field(default_factory=dict)
    """More keyword arguments of the model, such as widths=[32,64,128]."""
    encoder: str | None = None
    """A timm encoder such as mobilenetv2_100; left out, the model's own."""
    weights: str = "none"
    """Encoder weights: none, timm (downloaded), or the path of a file, .safetensors or .pth."""
    start_from: str | None = None
    """Go on from a trained network: a run folder, a checkpoint, torchvision:NAME or hf:org/name; it brings model and encoder."""
    mean: tuple[float, ...] | None = None
    """Mean per channel after scaling to 0..1; left out, the encoder's own."""
    std: tuple[float, ...] | None = None
    """Standard deviation per channel after scaling to 0..1; goes with mean."""

    # -- data ------------------------------------------------------------------------------------------------------------------
    format: str | None = None
    """The format of the data; left out, it is recognised."""
    data_args: dict[str, Any] = field(default_factory=dict)
    """Options of the format, such as val=0.15 test=0.15 where there are no splits, or rule={stem}_P.png."""
    split: str = "train"
    """The split that is trained on."""
    val_split: str = "val"
    """The split that is evaluated while training, and picks the best weights."""
    fraction: Annotated[float, Within(0, 1, above=True)] = 1.0
    """The share of the training images to use, drawn by the seed."""
    waive: tuple[Literal["leak"], ...] = ()
    """Errors in the data to train in spite of: leak, an image that is in two splits."""
    trained: Literal["classes", "all", "things"] | None = None
    """Which segments are trained: merged by class, all one by one, or things only; left out, as the task asks."""
    size: tuple[Count, Count] | None = None
    """Height and width that images are brought to, in training at scale 1 and to evaluate; left out, the first image's."""
    crop: tuple[Count, Count] | None = None
    """Height and width of the piece the network is shown in training; left out, the whole size."""
    augment: bool = True
    """Random scale, crop, flip, rotation and colour; without, pictures are only resized."""
    scale: tuple[Annotated[float, Within(0, above=True)], Annotated[float, Within(0, above=True)]] = (0.75, 2.0)
    """Smallest and largest random zoom before the crop."""
    flip: Share = 0.5
    """Probability of a left-right flip."""
    rotation: Annotated[float, Within(0, 180)] = 0.0
    """Largest random rotation either way, in degrees."""
    colour: Share = 0.2
    """Strength of random brightness, contrast and saturation."""
    copy_paste: Share = 0.0
    """Probability that objects of another image are pasted into a picture."""
    mosaic: Share = 0.0
    """Probability that a picture is put together from four."""
    rare_crops: Share = 0.0
    """Probability that a crop is laid around a pixel of a class, drawn by the inverse of its pixels, so that rare ones are seen."""
    workers: Whole | None = None
    """Processes that load data; left out, as many as help; 0 loads in the main process."""

    # -- recipe ----------------------------------------------------------------------------------------------------------------
    epochs: Count = 20
    """Passes over the training images."""
    minutes: Annotated[float, Within(0, above=True)] | None = None
    """Stop after so many minutes of training steps, if epochs have not ended before; the schedule then goes by the time."""
    half_size: Share = 0.0
    """The share of the training, from the first epoch on, that runs at half height and width."""
    batch_size: Count = 8
    """Images per step and process."""
    accumulate: Count = 1
    """Steps whose gradients are summed before the weights move."""
    lr: Annotated[float, Within(0, above=True)] = 1e-3
    """Peak learning rate; `intarsia lr-find` suggests one."""
    encoder_lr_factor: Amount = 1.0
    """The encoder learns at this many times the rate; 0 freezes it."""
    layer_decay: Annotated[float, Within(0, 1, above=True)] = 1.0
    """Each stage of the encoder learns at this many times the rate of the stage after it."""
    freeze: Share = 0.0
    """The share of the training, from its start, in which the encoder learns nothing."""
    freeze_norm: bool = False
    """Keep the batch norms of the encoder as they came: statistics, scale and shift."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """How gradients become steps."""
    weight_decay: Amount = 1e-2
    """Pull of the weights towards zero; decoupled in adamw."""
    momentum: Annotated[float, Within(0, 1, below=True)] = 0.9
    """Momentum of sgd, first beta of adam and adamw; one_cycle moves it between 0.95 and 0.85 instead, unless it is 0."""
    schedule: Literal["one_cycle", "cosine", "poly", "constant"] = "one_cycle"
    """How the learning rate moves over the steps."""
    warmup: Share = 0.1
    """The share of all steps in which the learning rate rises to its peak."""
    loss: dict[str, float] = field(default_factory=dict)
    """Losses and their weights, as name=weight; left out, the model's own, such as cross_entropy=1 dice=1."""
    loss_args: dict[str, Any] = field(default_factory=dict)
    """Options of the losses, as loss.option=value, such as focal.gamma=2."""
    aux_weight: Amount = 0.4
    """What the loss of each auxiliary output counts beside the main one, for networks that have some."""
    class_weights: Literal["none", "inverse", "median_frequency", "sqrt_median_frequency", "effective_number"] = "none"
    """How rare classes gain weight in the losses that take them, from the pixel counts of the training split."""
    effective_beta: Annotated[float, Within(0, 1, below=True)] = 0.999999
    """The beta of effective_number: classes of fewer than about 1 / (1 - beta) pixels gain weight."""
    clip_norm: Amount = 0.0
    """Largest norm of the gradient; 0 clips nothing."""
    ema: Annotated[float, Within(0, 1, below=True)] = 0.0
    """Decay of the averaged weights, such as 0.999, that are then evaluated and kept; 0 averages nothing."""
    early_stop: Whole = 0
    """Stop after this many evaluations without a better score; 0 never stops."""

    decode_args: dict[str, Any] = field(default_factory=dict)
    """Thresholds by which answers are read from the network, such as score=0.3 for instances."""

    # -- running ---------------------------------------------------------------------------------------------------------------
    evaluate_every: Count = 1
    """Epochs from one evaluation to the next; the last epoch is always evaluated."""
    checkpoint_minutes: Amount = 5.0
    """Keep the state for resuming this often within an epoch as well; 0 keeps it at the end of epochs only."""
    checkpoint_steps: Whole = 0
    """Keep the state every so many steps as well; 0 goes by minutes only."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the computation; auto takes bf16 where the hardware multiplies in it, else fp32 (fp16 on older GPUs)."""
    channels_last: bool = True
    """Keep the channels of a pixel side by side in memory; the same result, mostly faster."""
    compile: bool = False
    """Train through torch.compile: a minute or so before the first step, then mostly faster."""
    seed: Whole = 0
    """Fixes weights, order and augmentation."""
    name: str | None = None
    """Name of the run; left out, from data and model."""
    out: str | None = None
    """The run folder; left out, runs/NAME, then runs/NAME2, runs/NAME3."""
    track: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that also get the numbers of each epoch; metrics.csv always does."""

    @property
    def which(self) -> Literal["classes", "all", "things"]:
        """The segments that are trained, as told or as the task asks."""
        return self.trained or TRAINED[self.task or "semantic"]

    @property
    def places(self) -> dict[str, Any]:
        """The options that say what is trained on and where, not how, as far as they are not the defaults."""
        return {name: value for name, value in self._given.items() if name in PLACES}

    @property
    def settings(self) -> dict[str, Any]:
        """The options that say how it is trained, as far as they are not the defaults."""
        return {name: value for name, value in self._given.items() if name not in PLACES}

    @property
    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value != getattr(DEFAULT, name, None)}

    def __post_init__(self) -> None:
        for key, value in checked(type(self), vars(self), flag).items():
            object.__setattr__(self, key, value)
        if self.scale[0] > self.scale[1]:
            raise OptionError("--scale", expected="smallest before largest", received=self.scale)
        for name in ("rare_crops", "copy_paste", "mosaic"):
            if getattr(self, name) and not self.augment:
                raise OptionError(flag(name), expected="--augment, which makes the pictures", received="--no-augment")
        if self.start_from is not None and (self.model_args or self.encoder is not None):
            what = "--encoder" if self.encoder is not None else "--model-args"
            raise OptionError(
                what, expected=f"none, because {self.start_from} brings its own", received=self.encoder or self.model_args
            )
        if self.weights != "none" and self.encoder is None:
            raise OptionError("--weights", expected="an --encoder that takes them", received=repr(self.weights))
        if len(self.mean or ()) != len(self.std or ()):
            raise OptionError("--mean and --std", expected="as many values each", received=f"{self.mean} and {self.std}")
        if self.std is not None and min(self.std, default=0) <= 0:
            raise OptionError("--std", expected="values above 0", received=self.std)
        if self.loss and (sum(self.loss.values()) <= 0 or min(self.loss.values()) < 0):
            raise OptionError("--loss", expected="at least one name=weight above 0, none below", received=self.loss)
        object.__setattr__(self, "loss_args", _by_loss(self.loss_args, self.loss))


@dataclass(frozen=True)
class LrFindOptions(TrainOptions):
    """What `intarsia lr-find` can be told: the training it probes for, and the range of the test."""

    lowest: Annotated[float, Within(0, above=True)] = 1e-7
    """The learning rate of the first step."""
    highest: Annotated[float, Within(0, above=True)] = 10.0
    """The learning rate of the last step; the test ends early where the loss explodes."""
    steps: Annotated[int, Within(10)] = 100
    """Steps from lowest to highest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lowest >= self.highest:
            raise OptionError("--lowest", expected=f"below --highest {self.highest}", received=self.lowest)


@dataclass(frozen=True)
class FineTuneOptions(TrainOptions):
    """What `intarsia fine-tune` can be told: a training whose defaults suit a network that has learnt much already."""

    lr: Annotated[float, Within(0, above=True)] = 5e-4
    """Peak learning rate; that of a training from the start is twice as high."""
    layer_decay: Annotated[float, Within(0, 1, above=True)] = 0.8
    """Each stage of the encoder learns at this many times the rate of the stage after it."""
    freeze: Share = 0.2
    """The share of the training, from its start, in which the encoder learns nothing."""

    def of(self, source: str) -> TrainOptions:
        """The training that goes on from `source`; OptionError where `start_from` names another."""
        if self.start_from not in (None, source):
            raise OptionError("--start-from", expected=f"the source {source}", received=self.start_from, hint="Leave it out.")
        return TrainOptions(**{**vars(self), "start_from": source})


def _by_loss(given: dict[str, Any], losses: dict[str, float]) -> dict[str, dict[str, Any]]:
    """{"focal.gamma": 2} or {"focal": {"gamma": 2}} as the latter; OptionError for a loss that is not trained with.

    >>> _by_loss({"focal.gamma": 2}, {"focal": 1.0})
    {'focal': {'gamma': 2}}
    """
    tables: dict[str, dict[str, Any]] = {}
    for key, value in given.items():
        name, dot, option = key.rpartition(".")
        if isinstance(value, dict):
            tables.setdefault(key, {}).update(value)
        elif dot:
            tables.setdefault(name, {})[option] = value
        else:
            raise OptionError("--loss-args", expected="loss.option=value, such as focal.gamma=2", received=f"{key}={value}")
    known = losses or members("losses")  # the model's own are not known yet
    for name in tables:
        if name not in known:
            raise OptionError(f"--loss-args {name}", expected="a loss that --loss names", hint=nearest(name, known))
    return tables


DEFAULT = TrainOptions()
