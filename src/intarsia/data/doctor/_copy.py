"""The mended copy of a folder, in the layout of mask_folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from intarsia.core.errors import LabelError, OptionError
from intarsia.data.class_files import write_classes
from intarsia.data.coding import Coding
from intarsia.data.doctor._facts import COLOURED, colours_of
from intarsia.data.doctor._finding import Part, left_out
from intarsia.data.doctor.colour_masks import ids_of_colours
from intarsia.data.folders import whole_folder
from intarsia.data.holds import inner_key
from intarsia.data.images import read_image, read_labels, write_bytes, write_exact, write_labels
from intarsia.data.label_files import OBJECT_VOID, ColourLabels, IdLabels, ObjectLabels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.data.doctor._facts import Facts
    from intarsia.data.doctor._finding import Check
    from intarsia.data.doctor._survey import Survey

__all__ = ["check_format", "check_truth", "write_copy"]

FORMATS = ("mask_folder", "camvid", "voc", "image_folder", "oxford_pet", "ade20k")
"""Those with a label file for each image."""


def check_format(survey: Survey) -> None:
    """Raises OptionError for a format without a label file for each image."""
    if survey.format not in FORMATS:
        raise OptionError("--fix", expected="a data set with a mask file for each image", received=survey.format)


def check_truth(survey: Survey) -> None:
    """Raises OptionError for labels that one class file cannot tell the meaning of."""
    if survey.labels is None or survey.classes is None:
        raise OptionError(
            "--fix",
            expected="masks of which is known what their values mean",
            received=survey.refused,
            hint="Write codes.txt with one class name per line, or label_colors.txt with 'Name R G B' per line.",
        )
    several = [one.record.key for one in survey.facts if len(one.areas) > len({index for index, _ in one.areas})]
    if several and not survey.objects:
        raise OptionError(
            "--fix",
            expected="one segment of each class in an image",
            received=f"several objects of a class, in {several[0]} first",
            hint="Do what the findings say in the original, or leave the objects out: --data-args objects=False.",
        )


def write_copy(survey: Survey, checks: Mapping[str, Sequence[Check]], out: Path) -> set[str]:
    """Writes `images/SPLIT/`, `masks/SPLIT/` and a class file, the images mended by the `checks` of their keys; what needs no
    change is copied byte by byte. Gives the keys of the pairs that are in it.
    """
    assert survey.classes is not None
    coded = isinstance(survey.labels, IdLabels | ColourLabels)
    coding = survey.labels.coding if coded else Coding.from_classes(survey.classes)  # type: ignore[union-attr]
    with whole_folder(out) as folder:
        kept = {one.record.key for one in survey.facts if _copy(one, checks.get(one.record.key, ()), survey, coding, folder)}
        write_bytes(folder / "classes.json", write_classes(coding, objects=survey.objects))
    return kept


def _copy(one: Facts, checks: Sequence[Check], survey: Survey, coding: Coding, folder: Path) -> bool:
    """Whether the pair was kept."""
    record = one.record
    gone = any(check.mend is left_out for check in checks)
    if gone or record.image is None or (one.image and one.image.error) or (one.label and one.label.error):
        return False
    place = f"{record.split}/{inner_key(record)}" if record.split else inner_key(record)
    image, label = folder / "images" / place, folder / "masks" / place
    plain = record.label is None or _plain(one, survey)
    part, before, ids = None, None, None
    if checks or not plain:
        try:
            before, ids = read_image(record.image), None if record.label is None else _ids(one, survey, coding)
        except LabelError:  # beside what can be mended, the label contradicts itself
            return False
        part = Part(one, before, ids)
        for check in checks:
            if check.mend is not None and part.kept:
                check.mend(part, survey)
        if not part.kept:
            return False
    if part is None or part.image is before:
        write_bytes(image.with_name(image.name + record.image.suffix), record.image.read_bytes())
    else:
        write_exact(image, part.image)
    if record.label is not None and plain and (part is None or part.labels is ids):
        write_bytes(label.with_name(label.name + record.label.suffix), record.label.read_bytes())
    elif part is not None and part.labels is not None:
        write_labels(label.with_name(label.name + (".png" if part.labels.ndim == 2 else ".npy")), part.labels)
    return True


def _plain(one: Facts, survey: Survey) -> bool:
    """Whether a label file holds what the class file of the copy says."""
    held = isinstance(survey.labels, IdLabels) or (isinstance(survey.labels, ObjectLabels) and survey.labels.void == OBJECT_VOID)
    return held and not (one.label and (one.label.lossy or one.label.mode in COLOURED))


def _ids(one: Facts, survey: Survey, coding: Coding) -> NDArray[Any]:
    """What the copy has for a label file: ids (H, W) or (D, H, W), of objects their numbers."""
    path, lossy, reader = one.record.label, one.label is not None and one.label.lossy, survey.labels
    assert path is not None
    assert reader is not None
    if one.label is not None and one.label.mode in COLOURED:
        return ids_of_colours(colours_of(path), survey, nearest=lossy)
    if lossy:
        return read_image(path)[..., 0]  # (H, W, 1) -> (H, W)
    if isinstance(reader, IdLabels):
        return read_labels(path)
    if isinstance(reader, ObjectLabels):
        numbers = read_labels(path)
        return np.where(numbers == reader.void, OBJECT_VOID, numbers.astype(np.int64))
    return coding.labels(reader(path))
