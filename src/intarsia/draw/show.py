"""A picture on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["show"]


def show(picture: NDArray[np.uint8] | Image.Image) -> None:
    """Open an array (H, W, 3) uint8 or a Pillow image in the system's viewer."""
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).show()
