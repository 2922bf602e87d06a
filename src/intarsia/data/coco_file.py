"""CocoFile: what a COCO JSON says of images, categories and objects, in flat arrays that loader workers share.

The text of the file is mapped, not loaded, and an object's polygons are parsed when its image is read: the file of COCO's 118,000
training images thus takes seconds to open and no copy in any worker. Field names: cocodataset.org/#format-data.
"""

from __future__ import annotations

import mmap
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Raw, Struct

from intarsia.core.classes import ClassSet
from intarsia.core.errors import InvalidNoun, LabelError
from intarsia.data.dataset import SPLITS, split_place
from intarsia.ops.packing import pack_crops, window_of
from intarsia.ops.rle import from_segmentation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = [
    "Category", "CocoFile", "ImageEntry", "classes_of", "file_content", "ordered_splits", "places_of", "read_json",
    "shared_classes", "split_of",
]  # fmt: skip


class ImageEntry(Struct):
    """An image."""

    id: int
    file_name: str
    width: int = 0
    height: int = 0


class Category(Struct, omit_defaults=True):
    """A class; only panoptic files say whether it is a thing, and in which colour."""

    id: int
    name: str
    supercategory: str | None = None
    isthing: int = 1
    color: tuple[int, int, int] | None = None


class ObjectEntry(Struct, gc=False):
    """An object; what is long stays text."""

    image_id: int
    category_id: int
    id: Any = None
    segmentation: Raw = Raw(b"")
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | bool = 0
    score: float = 1.0


class Content(Struct):
    """The whole file."""

    images: list[ImageEntry]
    annotations: list[ObjectEntry]
    categories: list[Category]
    info: Raw = Raw(b"{}")


class CocoFile:
    """The objects of the images of one file; image numbers are places in `images`.

    Raises LabelError for a file that is none of COCO's, an object of no image or category that is there, ids given twice, and an
    object that is a box alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content: Content = read_json(path, Content, self.text)
        self.images = content.images
        self.categories = content.categories
        self.info = bytes(content.info)
        objects = content.annotations
        images, unknown = places_of(path, "image", [image.id for image in self.images], [entry.image_id for entry in objects])
        classes, strange = places_of(
            path, "category", [one.id for one in self.categories], [entry.category_id for entry in objects]
        )
        for what, wrong in (("image", unknown), ("category", strange)):
            if wrong.any():
                entry = objects[int(np.flatnonzero(wrong)[0])]
                raise LabelError(
                    str(path),
                    expected=f"objects of {what}s that it lists",
                    received=f"{int(wrong.sum())} of others, such as {what}_id {getattr(entry, f'{what}_id')}",
                    hint="Remove them, or add what they belong to.",
                )
        bare = [entry for entry in objects if bytes(memoryview(entry.segmentation)[:4]) in (b"", b"null")]
        if bare:
            raise LabelError(
                str(path),
                expected="a segmentation for each object",
                received=f"none for {len(bare)}, such as annotation {bare[0].id} of image {bare[0].image_id}",
                hint="Boxes alone are for detection: export polygons or run lengths, or remove these annotations.",
            )
        order = np.argsort(images, kind="stable")  # by image, each in the order of the file
        base = np.frombuffer(self.text, np.uint8).__array_interface__["data"][0]
        starts = np.array([_address(entry.segmentation) - base for entry in objects], np.int64)
        lengths = np.array([len(memoryview(entry.segmentation)) for entry in objects], np.int64)
        self.first = np.searchsorted(images[order], np.arange(len(self.images) + 1))  # (images + 1,) where those of each begin
        self.classes = classes[order]
        self.spans = np.stack([starts, starts + lengths], axis=1)[order]  # (N, 2) bytes of each segmentation in the text
        self.crowd = np.array([entry.iscrowd != 0 for entry in objects], np.bool_)[order]
        self.scores = np.array([entry.score for entry in objects], np.float32)[order]
        self.areas = np.array([np.nan if entry.area is None else entry.area for entry in objects], np.float64)[order]
        self.boxes = np.array([entry.bbox or (np.nan,) * 4 for entry in objects], np.float32).reshape(-1, 4)[order]
        self.boxes[:, 2:] += self.boxes[:, :2]  # x, y, width, height to corners

    @cached_property
    def text(self) -> mmap.mmap:
        """The file's bytes, mapped anew in each process that is not forked."""
        try:
            with self.path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # of an empty file the latter
            raise LabelError(str(self.path), expected="a JSON file in COCO's form", received=str(error)) from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "text"}

    def segments(self, number: int, size: tuple[int, int]) -> Segments:
        """The objects of an image, in the order of the file, with its boxes and areas. LabelError for a broken segmentation."""
        rows = slice(int(self.first[number]), int(self.first[number + 1]))
        boxes, areas = self.boxes[rows], self.areas[rows]
        return pack_crops(
            self._crops(rows, size),
            size,
            self.classes[rows],
            scores=self.scores[rows],
            crowd=self.crowd[rows],
            boxes=None if np.isnan(boxes).any() else boxes,
            areas=None if np.isnan(areas).any() else areas,
        )

    def content(self, number: int) -> Iterator[bytes]:
        """What the file says of the objects of an image."""
        rows = slice(int(self.first[number]), int(self.first[number + 1]))
        yield self.classes[rows].tobytes() + self.crowd[rows].tobytes()
        for start, end in self.spans[rows].tolist():
            yield self.text[start:end]

    def _crops(self, rows: slice, size: tuple[int, int]) -> Iterator[tuple[tuple[slice, ...], NDArray[np.bool_]]]:
        for start, end in self.spans[rows].tolist():
            text = self.text[start:end]
            try:
                mask = from_segmentation(msgspec.json.decode(text), size)  # (H, W)
            except (LabelError, TypeError, ValueError) as error:
                raise LabelError(
                    f"{self.path}, bytes {start} to {end}",
                    expected=f"polygons, or run lengths of {size}",
                    received=str(error) or text[:40].decode(),
                ) from error
            window = window_of(mask)
            yield window, mask[window]


def read_json(path: Path, kind: Any, text: Any = None) -> Any:
    """A file as the msgspec type `kind`; numbers may be written as text. Raises LabelError that says where it is another."""
    try:
        return msgspec.json.decode(path.read_bytes() if text is None else text, type=kind, strict=False)
    except (OSError, ValueError, msgspec.MsgspecError) as error:  # a ValueError only from msgspec 0.20 on
        raise LabelError(str(path), expected="a JSON file in COCO's form", received=str(error)) from error


def file_content(classes: ClassSet, images: Sequence[ImageEntry], annotations: Sequence[Any]) -> bytes:
    """The text of a file: the classes are its categories, ids from 1, and what COCO has no field for stands under `info`."""
    rows = zip(classes.names, classes.colours, strict=True)
    categories = [
        Category(index, name, isthing=int(name in classes.things), color=rgb) for index, (name, rgb) in enumerate(rows, start=1)
    ]
    content = {"info": {"classes": classes.to_dict()}, "images": images, "annotations": annotations, "categories": categories}
    return msgspec.json.encode(content)


def classes_of(path: Path, categories: Sequence[Category], info: Raw | bytes, **options: Any) -> ClassSet:
    """The classes in the order of the categories; `options` go to the ClassSet, unless `info` tells all of it under `classes`,
    where our writers put what COCO has no field for. Raises LabelError for names given twice.
    """
    colours = [one.color for one in categories]
    try:
        told = msgspec.json.decode(info)
        if isinstance(told, dict) and isinstance(told.get("classes"), dict):
            return ClassSet.from_dict(told["classes"])
        return ClassSet(
            tuple(one.name for one in categories),
            tuple(colour for colour in colours if colour) if all(colours) else (),
            things=tuple(one.name for one in categories if one.isthing),
            **options,
        )
    except InvalidNoun as error:
        raise LabelError(f"{path}, categories", expected="names, each once", received=str(error)) from error


def shared_classes(files: Sequence[tuple[Path, Sequence[Category], Raw | bytes]], **options: Any) -> ClassSet:
    """The classes that all files, each with its categories and its info, share. Raises LabelError where they list others."""
    (path, categories, info), *rest = files
    for other, theirs, _ in rest:
        if [(one.id, one.name) for one in theirs] != [(one.id, one.name) for one in categories]:
            raise LabelError(
                str(other),
                expected=f"the categories of {path}",
                received=f"{len(theirs)} that differ from its {len(categories)}",
                hint="Give both files one list, or open each by itself.",
            )
    return classes_of(path, categories, info, **options)


def split_of(name: str) -> str:
    """The split that a file or folder such as `train2017` is of."""
    plain = re.sub(r"\d+$", "", name)
    return "" if plain == "default" else SPLITS.get(plain.lower(), plain)


def ordered_splits(found: Iterable[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """(split, path) in the order train, val, test, then others by name."""
    return sorted(found, key=lambda one: (split_place(one[0]), one))


def places_of(path: Path, what: str, known: Sequence[int], asked: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The place of each id among the known ones, and which are not among them. LabelError for a known one given twice."""
    ids, wanted = np.asarray(known, np.int64), np.asarray(asked, np.int64)
    order = np.argsort(ids, kind="stable")
    twice = ids[order][1:][ids[order][1:] == ids[order][:-1]]
    if len(twice):
        raise LabelError(str(path), expected=f"each {what} id once", received=f"{what} id {twice[0]} more than once")
    if not len(ids):
        return np.zeros(len(wanted), np.int64), np.ones(len(wanted), np.bool_)
    place = order[np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)]
    return place, ids[place] != wanted


def _address(raw: Raw) -> int:
    """Where a piece of JSON lies in memory."""
    return int(np.frombuffer(raw, np.uint8).__array_interface__["data"][0])
