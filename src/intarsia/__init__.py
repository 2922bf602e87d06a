"""Intarsia: image segmentation with deep learning, from a folder of images and annotations to a measured model.

    data = intarsia.open_dataset("camvid")
    run = intarsia.train(data, model="unet", encoder="mobilenetv2_100")
    intarsia.load(run.best).predict("street.jpg").save("street.png")

Importing the package loads nothing else; each name loads what it needs on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intarsia.api import (
        ClassSet,
        Dataset,
        Run,
        Sample,
        Segments,
        TrainOptions,
        compare,
        convert,
        demo,
        doctor,
        download,
        evaluate,
        evaluate_folders,
        fine_tune,
        list_models,
        load,
        look,
        lr_find,
        open_dataset,
        open_image,
        open_mask,
        plan,
        predict,
        reproduce,
        resume,
        scenes,
        split,
        train,
    )

__version__ = "0.1.0"

__all__ = [
    "ClassSet",
    "Dataset",
    "Run",
    "Sample",
    "Segments",
    "TrainOptions",
    "compare",
    "convert",
    "demo",
    "doctor",
    "download",
    "evaluate",
    "evaluate_folders",
    "fine_tune",
    "list_models",
    "load",
    "look",
    "lr_find",
    "open_dataset",
    "open_image",
    "open_mask",
    "plan",
    "predict",
    "reproduce",
    "resume",
    "scenes",
    "split",
    "train",
]


def __getattr__(name: str) -> Any:
    """A public name, from `intarsia.api`, on first use (PEP 562)."""
    if name in __all__:
        return getattr(import_module("intarsia.api"), name)
    raise AttributeError(f"module 'intarsia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
