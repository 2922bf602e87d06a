"""Output -> Segments. Each module is a decoder; `decoded` makes a Predictor with one, `flipped` a steadier Scorer of a Scorer."""

from intarsia.decode._decoded import decoded
from intarsia.decode._flipped import flipped

__all__ = ["decoded", "flipped"]
