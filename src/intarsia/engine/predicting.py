"""Label maps and overlays of images in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intarsia.core.errors import DatasetNotFound, OptionError
from intarsia.data.class_files import write_classes
from intarsia.data.coding import Coding
from intarsia.data.images import IMAGE_SUFFIXES, write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from intarsia.engine.network import Model

__all__ = ["predict_files"]


def predict_files(model: Model, named: Iterable[Path], out: Path) -> list[Path]:
    """For each image, or each image of a folder, STEM.png and STEM_overlay.png in `out`, and a classes.json; gives the maps."""
    files = [file for path in named for file in _image_files(path)]
    targets = [out / f"{file.stem}.png" for file in files]
    if len(set(targets)) < len(files) or {path.resolve() for path in targets} & {file.resolve() for file in files}:
        raise OptionError("--out", expected="a folder apart from the images, and images of distinct names", received=str(out))
    write_bytes(out / "classes.json", write_classes(Coding.from_classes(model.classes)))
    for file, target in zip(files, targets, strict=True):
        answer = model.predict(file)
        answer.save(target.with_name(f"{file.stem}_overlay.png"))
        answer.save_label_map(target)
    return targets


def _image_files(path: Path) -> list[Path]:
    """The image itself, or all images directly in a folder."""
    if path.is_file():
        return [path]
    files = sorted(file for file in path.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else []
    if not files:
        raise DatasetNotFound(
            str(path), expected="an image or a folder of images", received="an empty folder" if path.is_dir() else "nothing"
        )
    return files
