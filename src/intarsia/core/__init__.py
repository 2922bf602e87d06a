"""The nouns, the errors and the catalogue. Needs numpy alone."""

from intarsia.core.batch import Batch, Targets
from intarsia.core.classes import ClassSet
from intarsia.core.output import Dense, Output, Queries, Regions
from intarsia.core.pixels import Pixels
from intarsia.core.protocols import Image, Predictor, Scorer
from intarsia.core.sample import Sample
from intarsia.core.segments import Segments

__all__ = [
    "Batch",
    "ClassSet",
    "Dense",
    "Image",
    "Output",
    "Pixels",
    "Predictor",
    "Queries",
    "Regions",
    "Sample",
    "Scorer",
    "Segments",
    "Targets",
]
