"""Which task a plan is for, which network it takes, and what that is trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import OptionError, nearest
from intarsia.engine.machine import ENCODERS
from intarsia.engine.options import TRAINED

if TYPE_CHECKING:
    from intarsia.engine.data_facts import DataFacts
    from intarsia.engine.machine import Machine

__all__ = ["choose_balance", "choose_network", "choose_task"]

IMBALANCED, RARE = 20.0, 0.01
"""How many times the rarest class the most frequent one must be to weigh classes, and the share below which crops go after it."""
CROWDED = 20
"""Objects in an image from which on finding them box by box is slow, and told apart badly where they touch."""

SMALL = 32
"""The side of things, in pixels, below which a grid of a quarter of the image is too coarse."""
LIGHT = {
    "width": 96,
    "box_width": 256,
    "mask_width": 96,
    "mask_layers": 3,
    "proposals": 256,
    "region_samples": 128,
}
"""What makes a Mask R-CNN light enough for a CPU."""


def choose_task(choose: Any, facts: DataFacts, task: str | None) -> str:
    """What the labels hold, unless it is told. Raises OptionError for a word that is no task."""
    if task is not None:
        if task not in TRAINED:
            raise OptionError("--task", expected=f"one of {', '.join(TRAINED)}", received=task, hint=nearest(task, TRAINED))
        choose("task", task, "as asked")
    elif facts.objects and facts.stuff:
        task = "panoptic"
        choose("task", task, f"objects are told apart, and {facts.stuff[0]} is not countable")
    elif facts.objects:
        task = "instance"
        choose("task", task, "objects are told apart, and nothing else is labelled")
    else:
        task = "semantic"
        choose("task", task, "each pixel has a class, objects are not told apart")
    return task


def choose_network(choose: Any, on: Machine, facts: DataFacts, task: str) -> None:
    """The network, its encoder and its weights."""
    encoder = ENCODERS[on.device][0]
    fast = "the fastest on a CPU of those that know ImageNet" if on.device == "cpu" else "strong, and quick on a GPU"
    scratch = "; from scratch, because no weights can be had here"
    if task == "semantic":
        choose("model", "unet", f"keeps fine detail, learns from few images{'' if on.weights else scratch}")
        if not on.weights:
            choose("model_args", {"widths": (24, 48, 96, 192)}, "a quarter of the paper's widths, one level less")
    elif task == "instance" and facts.per_image < CROWDED and on.weights:
        choose(
            "model", "mask_rcnn", f"finds each object in a box of its own, for they may overlap; {facts.per_image:.0f} in an image"
        )
        if on.device == "cpu":
            choose("model_args", LIGHT, "fewer and narrower than the paper's, for a CPU")
    else:
        many = f"{facts.per_image:.0f} objects in an image cost no more than one" if facts.per_image >= CROWDED else "light"
        choose("model", "panoptic_deeplab", f"tells objects apart by their centres: {many}{'' if on.weights else scratch}")
        if on.device == "cpu":
            fine = facts.length < SMALL
            why = f"half of all things are less than {SMALL} pixels long: a fine grid" if fine else "narrow, for a CPU"
            choose("model_args", {"stride": 2 if fine else 4, "width": 64, "instance_width": 64}, why)
        if not on.weights:
            choose("encoder", encoder, fast)
    if on.weights:
        choose("encoder", encoder, fast)
        choose("weights", "timm", "a network that knows photographs needs fewer of yours")
        choose("encoder_lr_factor", 0.5, "what it knows is changed more slowly than what is new")
    else:
        choose("mean", facts.mean, "that of these images, their values scaled to 0..1")
        choose("std", facts.std, "likewise")


def choose_balance(choose: Any, facts: DataFacts) -> None:
    """Weights of rare classes, crops around them, and the losses."""
    rarest, share = list(facts.shares.items())[-1]
    if facts.imbalance > IMBALANCED:
        choose(
            "class_weights",
            "sqrt_median_frequency",
            f"the rarest class, {rarest}, has {share * 100:.2g}% of the pixels, the most frequent {facts.imbalance:.0f} times that",
        )
    if share < RARE:
        choose("rare_crops", 0.3, f"{rarest} would hardly be in a random piece")
    choose("loss", {"cross_entropy": 1.0, "dice": 1.0}, "every pixel counts, and every class, however small")
