"""ade20k: the scene parsing benchmark of ADE20K, ids of 150 classes, 0 for none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import found_images, pair, places, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import LABEL_SUFFIXES, write_bytes, write_labels
from intarsia.data.label_files import IdLabels
from intarsia.data.records import FileReader, beside, put_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intarsia.data.records import Record

__all__ = ["ADE20K"]

NAMES = "objectInfo150.txt"
HEAD = "Idx\tRatio\tTrain\tVal\tStuff\tName\n"
VOID = 0
FOLDERS = {"train": "training", "val": "validation"}


class ADE20K:
    """`images/training/KEY.jpg` and `annotations/training/KEY.png`, the same for `validation`, and `objectInfo150.txt`, which
    tells names and, in one of its two releases, which classes are stuff. Ids are the places of the names from 1; 0, "other", is
    void, as in the benchmark.

    Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017; the folder is ADEChallengeData2016.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(nothing=False, splits=("train", "val"))
    looks: ClassVar[str] = "images/training/ + annotations/training/ + objectInfo150.txt"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """The class file with an image folder."""
        return f"images/ and {NAMES}" if (path / NAMES).is_file() and (path / "images").is_dir() else ""

    @staticmethod
    def open(path: Path) -> Dataset:
        """The data set in a folder."""
        found = places(path, "images", "annotations")
        if not found or not (path / NAMES).is_file():
            raise DatasetNotFound(
                str(path),
                expected=ADE20K.looks,
                received="neither" if not found else f"no {NAMES}",
                hint=f"{NAMES} is in the release.",
            )
        records = [record for split, images, labels in found for record in pair(images, labels, split=split, strict=False)]
        records = found_images(unique_keys(records), [images for _, images, _ in found])
        classes = _read_names(path / NAMES)
        coding = Coding(classes, tuple(range(1, len(classes) + 1)), (VOID,))
        return Dataset(records, classes, FileReader(IdLabels(coding)), name=path.name, root=path, format="ade20k")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The masks without image."""
        return beside(records, (record.label for record in records), LABEL_SUFFIXES)

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """Names, and which are things. CannotHold for names that would be read as others."""
        torn = [name for name in classes.names if name != name.strip() or len(name.splitlines()) != 1 or set(name) & set(",\t")]
        if torn:
            expected = "names of one line, without comma, tab, or space at either end"
            raise CannotHold("ade20k", expected=expected, received=torn, hint="Nothing was written; mask_folder holds it.")
        return ClassSet(classes.names, things=classes.things, void=("other",))

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write the same folders and names; the shares of pixels that the file has columns for are 0."""
        check(ADE20K, dataset, "ade20k")
        classes = dataset.classes
        coding = Coding(classes, tuple(range(1, len(classes) + 1)), (VOID,))
        rows = [
            f"{index}\t0\t0\t0\t{int(name not in classes.things)}\t{name}\n" for index, name in enumerate(classes.names, start=1)
        ]
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                assert sample.segments is not None  # held, says the check
                name = f"{FOLDERS[record.split]}/{inner_key(record)}"
                put_image(folder / "images" / name, record, sample.image)
                write_labels(folder / "annotations" / f"{name}.png", coding.labels(sample.segments))
            write_bytes(folder / NAMES, (HEAD + "".join(rows)).encode())


def _read_names(path: Path) -> ClassSet:
    """The classes of an objectInfo150.txt: of each the first of its synonyms; things where it tells which are stuff."""
    try:
        head, *lines = (line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise LabelError(str(path), expected="a line of column names, then one for each class", received=str(error)) from error
    columns = {name.strip(): place for place, name in enumerate(head)}
    names: list[str] = []
    things: list[str] = []
    for cells in lines:
        if not {"Idx", "Name"} <= columns.keys() or len(cells) != len(head) or cells[columns["Idx"]].strip() != str(len(names) + 1):
            raise LabelError(
                str(path), expected="columns Idx, Name and others between tabs, Idx from 1 on", received="\t".join(cells)[:80]
            )
        names.append(cells[columns["Name"]].partition(",")[0].strip())
        if "Stuff" in columns and cells[columns["Stuff"]].strip() == "0":
            things.append(names[-1])
    return ClassSet(tuple(names), things=tuple(things), void=("other",))
