"""Two folders of label files against each other. Loads no torch: it answers before torch would have been imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DatasetNotFound, PairingError
from intarsia.data.class_files import coding_near
from intarsia.data.images import LABEL_SUFFIXES, read_labels
from intarsia.metrics.semantic import Semantic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["evaluate_label_folders"]


def evaluate_label_folders(
    truth: Path, prediction: Path, classes: Path | None = None, *, each: Callable[[str], None] | None = None
) -> Any:
    """The semantic scores of every label file of `truth` against the file of the same stem in `prediction`.

    `classes` is a class file (codes.txt, classes.txt, classes.json); left out, it is looked for in and above `truth`. Both folders
    hold ids by that file. Raises PairingError naming a file without partner, or with another size.
    """
    truths, answers = _label_files(truth), _label_files(prediction)
    for stem, file in truths.items():
        if stem not in answers:
            raise PairingError(str(file), expected=f"a prediction {stem}.png in {prediction}", received="none")
    coding = coding_near(truth, classes)
    metric = Semantic(coding.classes)
    for stem, file in truths.items():
        if each is not None:
            each(stem)
        pair = [coding.segments(read_labels(path), str(path)) for path in (file, answers[stem])]
        if pair[0].size != pair[1].size:
            raise PairingError(str(answers[stem]), expected=f"the size of {file}, {pair[0].size}", received=pair[1].size)
        metric.update(pair[0], pair[1], stem)
    return metric.compute()


def _label_files(folder: Path) -> dict[str, Path]:
    """Label files by stem, in order."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in LABEL_SUFFIXES) if folder.is_dir() else []
    if not files:
        raise DatasetNotFound(
            str(folder), expected="a folder of label files", received="no label files" if folder.is_dir() else "no such folder"
        )
    return {path.stem: path for path in files}
