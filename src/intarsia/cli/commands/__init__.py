"""The commands: each calls the function of `intarsia` that does the work, and prints what comes of it."""

from intarsia.cli.commands.data import convert, doctor, download, look, plan, split
from intarsia.cli.commands.models import compare, evaluate, models, predict
from intarsia.cli.commands.training import demo, fine_tune, lr_find, reproduce, resume, train

__all__ = [
    "compare", "convert", "demo", "doctor", "download", "evaluate", "fine_tune", "look", "lr_find", "models", "plan", "predict",
    "reproduce", "resume", "split", "train",
]  # fmt: skip
