"""(Sample, rng, donor) to Sample: parameters are drawn first, then the picture is rendered once."""

from intarsia.transforms._compose import Compose
from intarsia.transforms._pipelines import evaluation, training

__all__ = ["Compose", "evaluation", "training"]
