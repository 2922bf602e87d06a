"""Two folders of label files against each other. Loads no torch: it answers before torch would have been imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DatasetNotFound, LabelError, OptionError, PairingError
from intarsia.data.class_files import coding_near, find_class_file, read_classes
from intarsia.data.images import LABEL_SUFFIXES, read_labels
from intarsia.engine.measures import Measures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["evaluate_label_folders"]


def evaluate_label_folders(
    truth: Path,
    prediction: Path,
    classes: Path | None = None,
    *,
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    out: Path | None = None,
) -> Any:
    """The semantic scores, and those of further `measures`, of every label file of `truth` against its namesake in `prediction`.

    `classes` is a class file (codes.txt, classes.txt, classes.json); left out, it is looked for in and above `truth`. Both folders
    hold ids by that file, unless `prediction` has a class file of its own, as `intarsia predict` leaves one: then classes are
    matched by name. Into `out`, if given, goes what `write_scores` writes. Raises PairingError naming a file without partner, or
    with another size, and OptionError for a measure of confidence, which label files do not hold.
    """
    truths, answers = _label_files(truth), _label_files(prediction)
    for stem, file in truths.items():
        if stem not in answers:
            raise PairingError(str(file), expected=f"a prediction {stem}.png in {prediction}", received="none")
    own = find_class_file(prediction)
    coding = coding_near(truth, classes, otherwise=f"name one: --classes {own or 'FILE'}")
    answered = coding if own is None else read_classes(own)
    table = answered.classes.table_to(coding.classes)
    if (table < 0).any():
        raise LabelError(str(own), expected=f"classes among {list(coding.classes.names)}", received=list(answered.classes.names))
    metric = Measures(coding.classes, "semantic", measures)
    if metric.confident:
        raise OptionError("--measures calibration", expected="a network", received="label files, which hold no confidence")
    for stem, file in truths.items():
        wanted, given = (
            coding.segments(read_labels(file), str(file)),
            answered.segments(read_labels(answers[stem]), str(answers[stem])),
        )
        if given.size != wanted.size:
            raise PairingError(str(answers[stem]), expected=f"the size of {file}, {wanted.size}", received=given.size)
        metric.update(wanted, given.with_classes(table[given.classes]), stem)
    scores = metric.compute()
    if out is not None:
        from intarsia.engine.saved import write_scores

        write_scores(metric, scores, out, {"images": len(truths)})
    return scores


def _label_files(folder: Path) -> dict[str, Path]:
    """Label files by stem, in order."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in LABEL_SUFFIXES) if folder.is_dir() else []
    if not files:
        raise DatasetNotFound(
            str(folder), expected="a folder of label files", received="no label files" if folder.is_dir() else "no such folder"
        )
    return {path.stem: path for path in files}
