"""object_masks: one binary mask file for each object, as of the Data Science Bowl 2018."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError
from intarsia.core.segments import Segments
from intarsia.data.dataset import SPLITS, Dataset
from intarsia.data.folders import files_under, found_images, unique_keys, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import LABEL_SUFFIXES, read_image, read_labels, write_labels
from intarsia.data.records import PNG, FileReader, Record, put_image
from intarsia.ops.packing import pack_crops

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["ObjectMasks"]


class ObjectMasks:
    """A folder for each image: `KEY/images/KEY.png` and `KEY/masks/*.png`, in each mask the pixels above 0 are one object; splits
    are folders above, such as `train/KEY/` or the Bowl's `stage1_train/KEY/`. Objects may overlap, and are of one class.

    Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl", Nature Methods 2019.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        instances=True, overlap=True, void=False, folders=False, splits=("", "train", "val", "test"), reserved=("images",)
    )
    looks: ClassVar[str] = "KEY/images/ + KEY/masks/ with a mask for each object"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A folder of an image, here or one below."""
        for place, _split in _places(path):
            for folder in sorted(place.iterdir()):
                if folder.name.lower() in SPLITS and (folder / "images").is_dir():
                    break  # the layout of mask_folder
                if (folder / "images").is_dir() and (folder / "masks").is_dir():
                    return f"{folder.relative_to(path)}/images/ and masks/"
        return ""

    @staticmethod
    def open(path: Path, *, objects: str = "object") -> Dataset:
        """The data set in a folder; `objects` names their class."""
        records = []
        for place, split in _places(path):
            for folder in sorted(place.iterdir()):
                if (folder / "images").is_dir():
                    images, masks = list(files_under(folder / "images").values()), folder / "masks"
                    if len(images) != 1:
                        raise LabelError(str(folder / "images"), expected="one image", received=f"{len(images)}")
                    records.append(Record(folder.name, images[0], masks if masks.is_dir() else None, split))
        if not records:
            raise DatasetNotFound(str(path), expected=ObjectMasks.looks, received="neither")
        classes = ClassSet((objects,), things=(objects,), nothing=True)
        reader = FileReader(MaskFiles())
        return Dataset(
            found_images(unique_keys(records), [path]), classes, reader, name=path.name, root=path, format="object_masks"
        )

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The folders of masks without one of the image."""
        folders = [folder for place, _split in _places(path) for folder in sorted(place.iterdir())]
        return [folder / "masks" for folder in folders if (folder / "masks").is_dir() and not (folder / "images").is_dir()]

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """One class, called object; CannotHold for more."""
        if len(classes) > 1:
            expected, hint = "one class", "Nothing was written; coco_instances holds them."
            raise CannotHold("object_masks", expected=expected, received=f"{len(classes)}", hint=hint)
        return ClassSet(("object",), things=("object",), nothing=True)

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write `SPLIT/KEY/images/KEY.png` and `SPLIT/KEY/masks/00001.png`, 0 and 255, numbered by row: for one class, a thing."""
        check(ObjectMasks, dataset, "object_masks")
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                assert sample.segments is not None  # held, says the check
                key = inner_key(record)
                place = folder / record.split / key
                put_image(place / "images" / key, record, sample.image, PNG)
                (place / "masks").mkdir()
                for row in range(len(sample.segments)):
                    write_labels(place / "masks" / f"{row + 1:05d}.png", np.where(sample.segments.mask(row), 255, 0))


@dataclass(frozen=True)
class MaskFiles:
    """Segments of a folder of masks, by name."""

    def __call__(self, path: Path) -> Segments:
        """A row for each file; none for a folder without files. LabelError for masks of differing sizes."""
        files = list(files_under(path, LABEL_SUFFIXES).values())
        if not files:
            image = next(iter(files_under(path.with_name("images")).values()))
            return Segments.empty(read_image(image).shape[:2])
        masks = [read_labels(file) > 0 for file in files]
        strange = next((file for file, mask in zip(files, masks, strict=True) if mask.shape != masks[0].shape), None)
        if strange is not None:
            raise LabelError(str(strange), expected=f"the size of {files[0].name}, {masks[0].shape}", received="another")
        whole = tuple(slice(0, extent) for extent in masks[0].shape)
        return pack_crops(((whole, mask) for mask in masks), masks[0].shape, np.zeros(len(masks), np.int64))


def _places(path: Path) -> list[tuple[Path, str]]:
    """The folders that hold those of images, with their splits: sub-folders named like splits, else the folder itself."""
    found = []
    for entry in sorted(path.iterdir()):
        name = entry.name.lower().removeprefix("stage1_")
        if entry.is_dir() and name in SPLITS and not (entry / "images").is_dir():
            found.append((entry, SPLITS[name]))
    return found or [(path, "")]
