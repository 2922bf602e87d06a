"""Predictions in files against a truth in files. Loads no torch: it answers before torch would have been imported."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from intarsia.core.errors import DataError, LabelError, OptionError, PairingError, few, nearest
from intarsia.data.class_files import coding_near, find_class_file, read_classes
from intarsia.data.coco_file import CocoFile, classes_of, places_of, read_json
from intarsia.data.formats.coco_panoptic import Content, PanopticReader
from intarsia.data.images import LABEL_SUFFIXES, read_labels
from intarsia.data.open import open_dataset
from intarsia.data.records import Record
from intarsia.engine.measures import Measures
from intarsia.engine.options import TRAINED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from intarsia.core import ClassSet, Segments
    from intarsia.data.coding import Coding

__all__ = ["evaluate_label_folders"]

SHOWN = 4
"""Images that an error names."""


class _Labels(NamedTuple):
    """What a folder holds."""

    classes: ClassSet
    read: Mapping[str, Callable[[], Segments | None]]
    """By key."""


def evaluate_label_folders(
    truth: Path,
    prediction: Path,
    classes: Path | None = None,
    *,
    task: str = "semantic",
    split: str = "test",
    format: str | None = None,
    data_args: Mapping[str, Any] | None = None,
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    out: Path | None = None,
) -> Any:
    """The scores of `task`, and those of further `measures`, of every image of `truth` by its prediction in files.

    Either folder may be a data set of any format, of which the `split` is taken where it has splits; that of `truth` is opened with
    `format` and `data_args`. `prediction` may also be what `intarsia predict` leaves of objects, without the images. For semantic
    either may be a folder of label files. `classes` is then a class file (codes.txt, classes.txt, classes.json); left out, it is
    looked for in and above `truth`. Label files hold ids by that file, unless `prediction` has one of its own, as `intarsia
    predict` leaves it.

    Images are matched by key, that of a prediction may lack the folders; classes are matched by name. Into `out`, if given, goes
    what `write_scores` writes. Raises PairingError naming images without prediction, or with one of another size, and OptionError
    for a measure of confidence, which files do not hold.
    """
    if task not in TRAINED:
        raise OptionError("--task", expected=f"one of {', '.join(TRAINED)}", received=task, hint=nearest(task, TRAINED))
    if classes is not None and task != "semantic":
        raise OptionError("--classes", expected="none for objects, whose files tell their classes", received=str(classes))
    plain = task == "semantic" and format is None and not data_args and _label_files(truth)
    wanted = (
        _label_maps(plain, coding_near(truth, classes, otherwise=f"name one: --classes {find_class_file(prediction) or 'FILE'}"))
        if plain
        else _data_set(truth, split, format=format, **(data_args or {}))
    )
    given = _predicted(truth, prediction, classes, task, split)
    answers = _matched(wanted.read, given.read, truth, prediction)
    table = given.classes.table_to(wanted.classes)
    if (table < 0).any():
        where = find_class_file(prediction) or prediction
        raise LabelError(str(where), expected=f"classes among {list(wanted.classes.names)}", received=list(given.classes.names))
    metric = Measures(wanted.classes, task, measures)
    if metric.confident:
        raise OptionError("--measures calibration", expected="a network", received="label files, which hold no confidence")
    for key, read in wanted.read.items():
        segments, answer = read(), given.read[answers[key]]()
        if segments is None or answer is None:
            where, lacks = (truth, "truth") if segments is None else (prediction, "prediction")
            raise DataError(f"{key} of {where}", expected=f"an image with {lacks}", received="none")
        if answer.size != segments.size:
            raise PairingError(
                f"{answers[key]} of {prediction}", expected=f"the size of {key} of {truth}, {segments.size}", received=answer.size
            )
        metric.update(segments, answer.with_classes(table[answer.classes]), key)
    scores = metric.compute()
    if out is not None:
        from intarsia.engine.saved import write_scores

        write_scores(metric, scores, out, {"images": len(wanted.read)})
    return scores


def _predicted(truth: Path, prediction: Path, classes: Path | None, task: str, split: str) -> _Labels:
    """The predictions: COCO's files as `intarsia predict` leaves them, else for semantic label files, else a data set; label files
    that have a class file come first.
    """
    own = find_class_file(prediction)
    for name in ("instances.json", "panoptic.json") if task == "instance" else ("panoptic.json", "instances.json"):
        if (prediction / name).is_file() and (task != "semantic" or own is None):
            return (_objects if name == "instances.json" else _panoptic)(prediction / name)
    files = _label_files(prediction) if task == "semantic" else {}
    if not files:
        return _data_set(prediction, split)
    return _label_maps(files, coding_near(truth, classes) if own is None else read_classes(own))


def _label_files(folder: Path) -> dict[str, Path]:
    """Label files by stem, in order."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in LABEL_SUFFIXES) if folder.is_dir() else []
    return {path.stem: path for path in files}


def _label_maps(files: Mapping[str, Path], coding: Coding) -> _Labels:
    """Label files of class ids."""
    return _Labels(coding.classes, {stem: partial(_label_map, file, coding) for stem, file in files.items()})


def _label_map(file: Path, coding: Coding) -> Segments:
    return coding.segments(read_labels(file), str(file))


def _data_set(folder: Path, split: str, **options: Any) -> _Labels:
    """A data set, or its split where it has some."""
    data = open_dataset(folder, **options)
    part = data.split(split) if data.splits else data
    return _Labels(part.classes, {key: partial(part.segments, index) for index, key in enumerate(part.keys)})


def _objects(file: Path) -> _Labels:
    """Objects in COCO's form, whose images need not be there."""
    coco = CocoFile(file)
    read = {
        _key(image.file_name): partial(coco.segments, number, (image.height, image.width))
        for number, image in enumerate(coco.images)
    }
    return _Labels(classes_of(file, coco.categories, coco.info, nothing=True), read)


def _panoptic(file: Path) -> _Labels:
    """Panoptic maps in COCO's form, whose images need not be there. Raises LabelError for a category that it does not list."""
    content: Content = read_json(file, Content)
    known = [one.id for one in content.categories]
    asked = [row.category_id for one in content.annotations for row in one.segments_info]
    _, strange = places_of(file, "category", known, asked)
    if strange.any():
        raise LabelError(str(file), expected="categories that it lists", received=f"category_id {asked[int(strange.argmax())]}")
    told = {_key(one.file_name): tuple(one.segments_info) for one in content.annotations}
    reader = PanopticReader(told, {number: index for index, number in enumerate(known)})
    records = (Record(_key(one.file_name), label=file.with_suffix("") / one.file_name) for one in content.annotations)
    return _Labels(
        classes_of(file, content.categories, content.info), {record.key: partial(reader.segments, record) for record in records}
    )


def _key(name: str) -> str:
    """The key of an image, or a map, from the name of its file."""
    return PurePosixPath(name).with_suffix("").as_posix()


def _matched(keys: Collection[str], answers: Collection[str], truth: Path, prediction: Path) -> dict[str, str]:
    """The key of the prediction of each image: its own, else its last part where that is of no other image."""
    names = {key: PurePosixPath(key).name for key in keys}
    count = Counter(names.values())
    found = {key: key if key in answers or count[name] > 1 else name for key, name in names.items()}
    missing = [key for key, answer in found.items() if answer not in answers]
    if missing:
        spare = sorted({*answers} - {*found.values()})
        raise PairingError(
            str(prediction),
            expected=f"a prediction of each image of {truth}",
            received=f"none of {few(missing, SHOWN)}",
            hint=f"It has {few(spare, SHOWN)}, of which there is no truth." if spare else "",
        )
    return found
