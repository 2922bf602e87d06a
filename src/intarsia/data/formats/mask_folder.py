"""mask_folder: one image file, one mask file; the layout most people already have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, OptionError
from intarsia.data import folders
from intarsia.data.class_files import coding_near, find_class_file, numbers_objects, read_classes, read_colours, write_classes
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.holds import Holds, check, inner_key, is_semantic
from intarsia.data.images import LABEL_SUFFIXES, write_bytes, write_labels
from intarsia.data.inferring import inferred
from intarsia.data.label_files import OBJECT_VOID, ColourLabels, IdLabels, ObjectLabels
from intarsia.data.records import FileReader, put_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intarsia.data.records import Record

__all__ = ["MaskFolder", "meaning_of"]


class MaskFolder:
    """Images and masks of the same stem, or by a rule such as `{stem}_P.png`, in one of three layouts:
    `train/images` + `train/masks`, `images/train` + `masks/train`, or flat `images` + `masks`; `labels` may stand for `masks`.

    A mask holds the id of a class in each pixel, or numbers the objects of one class (0 is background). Splits come from folders,
    from lists (`train.txt`, `val.txt` or `valid.txt`, `test.txt`; images in no list are `train` where there is no train list), or
    from seeded shares.
    """

    general: ClassVar[bool] = True
    holds: ClassVar[Holds] = Holds(
        instances=True,
        single=True,
        volumes=True,
        dtypes=("uint8", "uint16", "int16", "float32"),
        channels=None,
        splits=("", "train", "val", "test"),
        split_folders=False,
    )
    looks: ClassVar[str] = "images/ + masks/ (or labels/), or both within train/, val/, test/, and codes.txt or classes.json"

    @staticmethod
    def detect(path: Path, *, images: str | None = None, masks: str | None = None, **_: Any) -> str:
        """An image folder with a mask folder beside it, whose files are pictures, or folders given by name."""
        if images is not None or masks is not None:
            return "its folders are given by name"
        found = [(pictures, labels) for _, pictures, labels in folders.places(path) if labels and folders.holds_pictures(labels)]
        return f"{found[0][0].relative_to(path)}/ and {found[0][1].relative_to(path)}/" if found else ""

    @staticmethod
    def open(
        path: Path,
        *,
        images: str | None = None,
        masks: str | None = None,
        rule: str | None = None,
        classes: ClassSet | Sequence[str] | Mapping[str, int] | str | Path | None = None,
        void: int | None = None,
        objects: str | None = None,
        by_colour: bool = False,
    ) -> Dataset:
        """The data set in a folder.

        `images` and `masks` name the folders, `rule` the mask of `{stem}`; left out, it is the stem itself, or with an ending such
        as _mask. `classes` are names by id, ids by name, or a class file; left out, `classes.json`, `codes.txt` or `classes.txt` is
        looked for, and without any the values tell (see `inferred`). `void` is one more id for void; without any, 255 is
        void where it is no class. `objects` names the only class of masks that number objects. `by_colour` takes masks painted in
        the colours of the class file.
        """
        if rule is not None and "{stem}" not in rule:
            raise OptionError("rule", expected="text with {stem}, such as '{stem}_P.png'", received=repr(rule))
        found = folders.places(path, images, masks)
        if not found:
            looked = f"{images or '/, '.join(folders.IMAGE_FOLDERS)}/ or the same within train/, val/, test/"
            raise DatasetNotFound(str(path), expected=looked, received="none of them", hint="Name the folder: images='...'.")
        if all(place[2] is None for place in found) and masks is not None:
            raise DatasetNotFound(str(path), expected=f"a mask folder {masks}/", received="none")
        records = [record for split, pictures, labels in found for record in folders.pair(pictures, labels, rule, split)]
        records = folders.found_images(folders.unique_keys(records), [pictures for _, pictures, _ in found])
        records = folders.split_by_lists(path, records)
        known = (classes, objects, find_class_file(path)) != (None, None, None) or by_colour
        masked = [record.label for record in records if record.label is not None]
        if not known and not masked:
            looked = ", ".join(str(labels) for *_, labels in found if labels) or f"{path}, beside the images"
            raise DatasetNotFound(looked, expected="label files", received="none", hint=f"Kinds read: {', '.join(LABEL_SUFFIXES)}.")
        guess = None if known else inferred(masked)
        coding, reader, told = guess or (*meaning_of(path, classes, void, objects, by_colour), "")
        dataset = Dataset(records, coding.classes, FileReader(reader), name=path.name, root=path, format="mask_folder")
        dataset.notes = (told,) if told else ()
        return dataset

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """None: the doctor lists the files of such folders itself."""
        return []

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """All of them."""
        return classes

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `images/SPLIT/KEY`, `masks/SPLIT/KEY` and `classes.json`: PNG where it holds the pixels exactly, else `.npy`.

        Masks are ids by class index, or, where an image has several segments of one class, numbered objects of the only class.
        """
        check(MaskFolder, dataset, "mask_folder")
        truths = [dataset.segments(index) for index in range(len(dataset))]
        numbered = any(truth is not None and not is_semantic(truth) for truth in truths)
        most = max((len(truth) for truth in truths if truth is not None), default=0)
        if numbered and most >= OBJECT_VOID:
            expected = f"at most {OBJECT_VOID - 1} objects an image"
            raise CannotHold("mask_folder", expected=expected, received=most, hint="Nothing was written.")
        coding = Coding.from_classes(dataset.classes)
        with folders.whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                put_image(folder / "images" / record.split / inner_key(record), record, sample.image)
                if sample.segments is not None:
                    labels = coding.labels(sample.segments)
                    if numbered:
                        labels = np.where(sample.segments.void, OBJECT_VOID, sample.segments.ids[0]).astype(np.uint16)
                    suffix = ".png" if labels.ndim == 2 else ".npy"
                    write_labels(folder / "masks" / record.split / f"{inner_key(record)}{suffix}", labels)
            write_bytes(folder / "classes.json", write_classes(coding, objects=numbered))


def meaning_of(
    path: Path,
    classes: ClassSet | Sequence[str] | Mapping[str, int] | str | Path | None,
    void: int | None,
    objects: str | None,
    by_colour: bool,
) -> tuple[Coding, IdLabels | ColourLabels | ObjectLabels]:
    """The coding, and the reader of the mask files."""
    if objects is not None:
        coding = Coding.from_classes(ClassSet((objects,), things=(objects,), nothing=True))
        return coding, ObjectLabels(OBJECT_VOID if void is None else void)
    if isinstance(classes, ClassSet):
        coding = Coding(classes, tuple(range(len(classes))))
    elif isinstance(classes, (str, Path)):
        file = Path(classes) if Path(classes).is_file() else path / classes
        coding = read_classes(file)
    elif isinstance(classes, Mapping):
        coding = Coding.from_names(list(classes), ids=list(classes.values()))
    elif classes is not None:
        coding = Coding.from_names(list(classes))
    else:
        coding = coding_near(path, above=0)
    coding = coding.with_void(void)
    if by_colour:
        known = read_colours(path) or dict(zip(coding.classes.names, coding.classes.colours, strict=True))
        return coding, ColourLabels(coding, known)
    if classes is None and numbers_objects(find_class_file(path)):
        return coding, ObjectLabels()
    return coding, IdLabels(coding)
