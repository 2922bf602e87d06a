"""Output -> Segments. Each module is a decoder; `decoded` makes a Predictor with one, `tiled` one for images of any size, and
`flipped` a steadier Scorer of a Scorer."""

from intarsia.decode._decoded import decoded
from intarsia.decode._flipped import flipped
from intarsia.decode._tiled import Tiling, label_bands, tiled

__all__ = ["Tiling", "decoded", "flipped", "label_bands", "tiled"]
