"""The Python face: what the command line can do, as functions. Importing this loads no torch; the functions that need it do."""

from intarsia.api.data import convert, doctor, download, look, open_image, open_mask, plan, split
from intarsia.api.models import compare, evaluate, evaluate_folders, list_models, load, predict
from intarsia.api.training import demo, fine_tune, lr_find, reproduce, resume, train
from intarsia.core import ClassSet, Sample, Segments
from intarsia.data.dataset import Dataset
from intarsia.data.open import open_dataset
from intarsia.data.scenes import scenes
from intarsia.engine.options import TrainOptions
from intarsia.engine.run import Run

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
