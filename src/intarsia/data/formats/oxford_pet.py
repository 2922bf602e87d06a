"""oxford_pet: the Oxford-IIIT Pet data set, a cat or a dog in each image, cut out as a trimap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, OptionError, nearest
from intarsia.data.coding import Coding
from intarsia.data.dataset import Dataset
from intarsia.data.folders import files_under, found_images, pair, whole_folder
from intarsia.data.holds import Holds, check
from intarsia.data.images import read_labels, write_bytes, write_labels
from intarsia.data.records import FileReader, put_image, told_left_over

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from intarsia.core.segments import Segments
    from intarsia.data.records import Record

__all__ = ["OxfordPet"]

Labels = Literal["pet", "species", "breed"]
PET, BACKGROUND, BORDER = 1, 2, 3
PETS = ClassSet(("background", "pet"), things=("pet",), void=("border",))
LISTS = {"train": "trainval.txt", "test": "test.txt"}


class OxfordPet:
    """`images/Breed_12.jpg` and `annotations/trimaps/Breed_12.png` (1 pet, 2 background, 3 border, which is void), splits in
    `annotations/trainval.txt` and `test.txt`; `trimaps/` may also lie beside `images/`.

    Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012; the names of cats begin with a capital letter.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(nothing=False, splits=("", "train", "test"), spaces=False, apart=False)
    looks: ClassVar[str] = "images/ + annotations/trimaps/ (or trimaps/)"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A folder of trimaps beside the images."""
        trimaps = _trimaps(path)
        return f"images/ and {trimaps.relative_to(path)}/" if trimaps is not None and (path / "images").is_dir() else ""

    @staticmethod
    def open(path: Path, *, labels: Labels = "pet") -> Dataset:
        """The data set in a folder; a pet is called "pet", by its `species`, or by its `breed`.

        Images without trimap, of which the release has some, are left out, and told in `notes`. Raises OptionError for other
        `labels`.
        """
        if labels not in get_args(Labels):
            raise OptionError(
                "labels", expected="pet, species or breed", received=repr(labels), hint=nearest(labels, get_args(Labels))
            )
        trimaps = _trimaps(path)
        if trimaps is None or not (path / "images").is_dir():
            raise DatasetNotFound(str(path), expected=OxfordPet.looks, received="neither")
        known = files_under(trimaps, (".png",))
        records = [replace(record, label=known[record.key]) for record in pair(path / "images", None) if record.key in known]
        keys = [record.key for record in records]
        lists = {split: trimaps.parent / name for split, name in LISTS.items() if (trimaps.parent / name).is_file()}
        split_of = {key: split for split, file in lists.items() for key in _listed(file, keys)}
        if split_of:
            records = [replace(record, split=split_of[record.key]) for record in records if record.key in split_of]
        names = sorted({_called(key, labels) for key in keys})
        classes = ClassSet(("background", *names), things=tuple(names), void=("border",))
        reader = FileReader(Trimap(classes, labels))
        records = found_images(records, [path / "images"])
        dataset = Dataset(records, classes, reader, name=path.name, root=path, format="oxford_pet")
        dataset.notes = told_left_over(OxfordPet.left_over(path, records))
        return dataset

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The images without trimap, and the trimaps without image."""
        trimaps = _trimaps(path)
        images, known = files_under(path / "images"), files_under(trimaps, (".png",)) if trimaps is not None else {}
        return [(images | known)[key] for key in sorted(images.keys() ^ known.keys())]

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """Background and pet; CannotHold for others."""
        if classes.names != PETS.names:
            expected = "the classes background and pet"
            raise CannotHold("oxford_pet", expected=expected, received=classes.names, hint="Nothing was written.")
        return PETS

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write images, trimaps, and the lists with the names alone: for the classes background and pet."""
        check(OxfordPet, dataset, "oxford_pet")
        coding = Coding(dataset.classes, (BACKGROUND, PET), (BORDER,))
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                assert sample.segments is not None  # held, says the check
                put_image(folder / "images" / record.key, record, sample.image)
                write_labels(folder / "annotations" / "trimaps" / f"{record.key}.png", coding.labels(sample.segments))
            for split, name in LISTS.items():
                keys = [record.key for record in dataset.records if record.split == split]
                if keys:
                    write_bytes(folder / "annotations" / name, "".join(f"{key}\n" for key in keys).encode())


@dataclass(frozen=True)
class Trimap:
    """Segments of a trimap, the pet called as `labels` says, from the name of the file."""

    classes: ClassSet
    labels: Labels

    def __call__(self, path: Path) -> Segments:
        """A row for the background and one for the pet; LabelError for other ids than 1, 2 and 3."""
        pet = self.classes.index(_called(path.stem, self.labels))
        segments = Coding(ClassSet(("background", "pet")), (BACKGROUND, PET), (BORDER,)).segments(read_labels(path), str(path))
        return segments.with_classes([(0, pet)[index] for index in segments.classes])


def _trimaps(path: Path) -> Path | None:
    return next((path / name for name in ("annotations/trimaps", "trimaps") if (path / name).is_dir()), None)


def _listed(file: Path, keys: Iterable[str]) -> list[str]:
    """The keys that a list names first on each line, without those that have no trimap."""
    known = set(keys)
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#") and line.split()[0] in known]


def _called(key: str, labels: Labels) -> str:
    """What the pet of an image is."""
    breed = key.rpartition("_")[0] or key
    return {"pet": "pet", "species": "cat" if key[:1].isupper() else "dog", "breed": breed}[labels]
