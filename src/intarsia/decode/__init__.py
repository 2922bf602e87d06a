"""Output -> Segments. Each module is a decoder; `decoded` makes a Predictor with one, `tiled` and `stitched` ones for images of any
size, and `flipped` a steadier Scorer of a Scorer."""

from intarsia.decode._decoded import decoded
from intarsia.decode._flipped import flipped
from intarsia.decode._stitched import stitched
from intarsia.decode._thresholds import check_thresholds
from intarsia.decode._tiled import label_bands, tiled
from intarsia.decode._windows import Tiling

__all__ = ["Tiling", "check_thresholds", "decoded", "flipped", "label_bands", "stitched", "tiled"]
