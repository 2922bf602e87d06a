"""How CamVid in the layout of fastai names its labels, by which it is told from a plain folder of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["label_suffix"]


def label_suffix(path: Path) -> str:
    """What the files of `labels/` add to the stems of `images/`: _P, else _L, else nothing."""
    if not (path / "images").is_dir():
        return ""
    stems = {file.stem for file in (path / "images").iterdir()}
    labels = {file.stem for file in (path / "labels").glob("*.png")} - stems  # an image may itself be called NAME_P
    return next((suffix for suffix in ("_P", "_L") if any(f"{stem}{suffix}" in labels for stem in stems)), "")
