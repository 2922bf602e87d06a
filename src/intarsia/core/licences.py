"""Licences: what may be done with a network, by its code, its weights and the data they learnt from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["IMAGENET", "UNKNOWN", "Licences", "joined", "spelled"]

COMMERCIAL = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0")
"""SPDX names of the licences known to allow commercial use; any other, and an unknown one, counts as not."""
UNKNOWN = "unknown"
"""What is written where nobody has said."""
IMAGENET = "ImageNet-1k terms (non-commercial research)"
"""Those of the images that most encoders are pretrained on."""


@dataclass(frozen=True)
class Licences:
    """SPDX names or, where there is none, the terms in a few words; "none" where there is nothing to license. `code` is that of
    the code that runs: ours, also under weights that others have trained.

    >>> Licences(code="Apache-2.0", weights="BSD-3-Clause", data="COCO terms").commercial
    True
    >>> Licences(weights="NVIDIA Source Code License (non-commercial)").commercial
    False
    """

    code: str = "Apache-2.0"
    weights: str = "none"
    """Of the numbers; "none" where they are drawn at random or trained by the user."""
    data: str = "none"
    """The terms of what the weights learnt from; told, but not judged."""

    @property
    def commercial(self) -> bool:
        """Whether the licences of code and weights are known to allow commercial use."""
        return all(name == "none" or spelled(name) in COMMERCIAL for name in (self.code, self.weights))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `Licences(**plain)` takes them back."""
        return asdict(self)

    def __str__(self) -> str:
        return f"code {self.code}, weights {self.weights}, data {self.data}"


def spelled(name: str | None) -> str:
    """The SPDX spelling of a licence known to allow commercial use; others stay as they are written, None is unknown.

    >>> spelled("apache-2.0"), spelled("cc-by-nc-4.0"), spelled(None)
    ('Apache-2.0', 'cc-by-nc-4.0', 'unknown')
    """
    return next((known for known in COMMERCIAL if known.lower() == (name or "").lower()), name or UNKNOWN)


def joined(*terms: str) -> str:
    """The terms of all that weights learnt from, each told once; "none" where there is nothing to tell.

    >>> joined("none", "CC0-1.0"), joined("ADE20K terms; unknown", "unknown")
    ('CC0-1.0', 'ADE20K terms; unknown')
    """
    return "; ".join(dict.fromkeys(each for some in terms for each in some.split("; ") if each != "none")) or "none"
