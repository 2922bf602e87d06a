"""labelme: a JSON file of shapes beside each image, as the annotation tool LabelMe writes it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from glob import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import msgspec
import numpy as np
from msgspec import Struct
from PIL import Image, ImageDraw

from intarsia.core.classes import ClassSet
from intarsia.core.errors import CannotHold, DatasetNotFound, LabelError
from intarsia.data.coco_file import read_json
from intarsia.data.dataset import SPLITS, Dataset
from intarsia.data.folders import files_under, found_images, split_folders, unique_keys, walked, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import IMAGE_SUFFIXES, read_image, write_bytes
from intarsia.data.records import FileReader, Record, put_image
from intarsia.ops.packing import pack, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intarsia.core.segments import Segments

__all__ = ["LabelMe"]

LABELS = "labels.txt"
SHAPES = b'"shapes"'
"""What only files of LabelMe hold."""
IGNORE, BACKGROUND = "__ignore__", "_background_"
LINE_WIDTH, POINT_RADIUS = 10, 5
"""Of shapes that are lines and points, in pixels, as in LabelMe's own conversion."""


class Shape(Struct, omit_defaults=True):
    """One shape."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str = "polygon"
    group_id: int | None = None
    mask: str | None = None
    """A PNG in base64, at the first point, of `shape_type` mask."""


class Content(Struct, rename="camel"):
    """What a file holds."""

    shapes: list[Shape]
    image_path: str = ""
    image_height: int | None = None
    image_width: int | None = None


class LabelMe:
    """`KEY.json` beside the image, in one folder or in `train/`, `val/`, `test/`, and `labels.txt` with the names of the classes;
    without it they are those that occur, sorted. Shapes of one label and one group are one object; the label `__ignore__` is void.

    github.com/wkentaro/labelme; shapes are drawn as by its labelme/utils/shape.py.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        instances=True, overlap=True, splits=("", "train", "val", "test"), folders=False, split_folders=False
    )
    looks: ClassVar[str] = "images with a LabelMe .json beside each"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A JSON file with shapes beside an image of its name."""
        for folder, _split in split_folders(path):
            images = {file.stem for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES}
            file = next((file for file in sorted(folder.glob("*.json")) if file.stem in images), None)
            if file is not None and SHAPES in file.read_bytes():
                return f"{file.relative_to(path)} with shapes"
        return ""

    @staticmethod
    def open(path: Path) -> Dataset:
        """The data set in a folder; an image without a JSON file is one without truth."""
        if not LabelMe.detect(path):
            raise DatasetNotFound(str(path), expected=LabelMe.looks, received="neither")
        records = [
            Record(key, image, image.with_suffix(".json") if image.with_suffix(".json").is_file() else None, split)
            for folder, split in split_folders(path)
            for key, image in files_under(folder).items()
            if split or key.partition("/")[0].lower() not in SPLITS
        ]
        if (path / LABELS).is_file():
            try:
                lines = (path / LABELS).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, ValueError) as error:
                raise LabelError(str(path / LABELS), expected="a name on each line, in UTF-8", received=str(error)) from error
            names = [line.strip() for line in lines if line.strip()]
        else:
            files = [record.label for record in records if record.label is not None]
            names = sorted({shape.label for file in files for shape in read_json(file, Content).shapes})
        names = [name for name in names if name not in (IGNORE, BACKGROUND)]
        if not names:
            raise LabelError(str(path), expected="labels in the JSON files, or names in labels.txt", received="none")
        classes = ClassSet(tuple(names), things=tuple(names), void=(IGNORE,), nothing=True)
        reader = FileReader(Shapes(classes))
        return Dataset(found_images(unique_keys(records), [path]), classes, reader, name=path.name, root=path, format="labelme")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The JSON files with shapes that have no image."""
        used = {record.label for record in records}
        found = sorted(file for folder, _ in split_folders(path) for file in walked(folder) if file.suffix == ".json")
        return [file for file in found if file not in used and SHAPES in file.read_bytes()]

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """The names, all things. CannotHold for names that would be read as others."""
        torn = [name for name in classes.names if name.splitlines() != [name] or name != name.strip() or name == BACKGROUND]
        if torn:
            expected = f"names of one line, without space at either end, none called {BACKGROUND}"
            raise CannotHold("labelme", expected=expected, received=torn, hint="Nothing was written; coco_instances holds it.")
        return ClassSet(classes.names, things=classes.names, void=(IGNORE,), nothing=True)

    @staticmethod
    def write(dataset: Dataset, path: Path) -> None:
        """Write images, beside each a JSON file of masks, and `labels.txt`: for things alone, in the VOC map's colours."""
        check(LabelMe, dataset, "labelme")
        classes = dataset.classes
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                segments = sample.segments
                assert segments is not None  # held, says the check
                place = folder / record.split / inner_key(record)
                image = put_image(place, record, sample.image)
                shapes = [_shape(classes.names[index], segments.mask(row)) for row, index in enumerate(segments.classes.tolist())]
                shapes += [_shape(IGNORE, segments.void)] if segments.void.any() else []
                content = {"version": "5.5.0", "flags": {}, "imageData": None} | msgspec.to_builtins(
                    Content(shapes, image.name, *sample.image.shape[:2])
                )
                write_bytes(place.with_name(f"{place.name}.json"), msgspec.json.encode(content))
            write_bytes(folder / LABELS, "".join(f"{name}\n" for name in (IGNORE, *classes.names)).encode())


@dataclass(frozen=True)
class Shapes:
    """Segments of a JSON file of shapes."""

    classes: ClassSet

    def __call__(self, path: Path) -> Segments:
        """A row for each shape or group, in order. LabelError for a label without class or a shape of unknown kind."""
        content: Content = read_json(path, Content)
        if content.image_height is None or content.image_width is None:
            image = next(file for file in path.parent.glob(f"{escape(path.stem)}.*") if file != path)
            size = read_image(image).shape[:2]
        else:
            size = (content.image_height, content.image_width)
        objects: dict[Any, NDArray[np.bool_]] = {}
        void = np.zeros(size, np.bool_)
        for number, shape in enumerate(content.shapes):
            if shape.label == BACKGROUND:
                continue
            mask = _drawn(shape, size, path)
            if shape.label == IGNORE:
                void |= mask
                continue
            if shape.label not in self.classes.index_of:
                raise LabelError(
                    str(path), expected=f"labels of {LABELS}: {', '.join(self.classes.names)}", received=repr(shape.label)
                )
            key = (shape.label, ("shape", number) if shape.group_id is None else shape.group_id)
            objects[key] = objects[key] | mask if key in objects else mask
        masks = np.array(list(objects.values()), np.bool_).reshape(-1, *size)  # (N, H, W)
        return pack(masks, [self.classes.index(label) for label, _ in objects], void=void)


def _drawn(shape: Shape, size: tuple[int, int], path: Path) -> NDArray[np.bool_]:
    """(H, W) the pixels of a shape. LabelError for one of unknown kind, or of too few points."""
    canvas = Image.new("1", (size[1], size[0]))
    draw, points = ImageDraw.Draw(canvas), [tuple(point) for point in shape.points]
    match shape.shape_type, len(points):
        case ("mask", 1 | 2) if shape.mask is not None:
            return _placed(shape, size, path)
        case ("polygon", count) if count > 2:
            draw.polygon(points, outline=1, fill=1)
        case ("rectangle", 2):
            (x0, y0), (x1, y1) = points
            draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=1, fill=1)
        case ("circle", 2):
            (x, y), edge = points
            radius = float(np.hypot(x - edge[0], y - edge[1]))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
        case (("line" | "linestrip"), count) if count > 1:
            draw.line(points, fill=1, width=LINE_WIDTH)
        case ("point", 1):
            (x, y), radius = points[0], POINT_RADIUS
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
        case kind, count:
            raise LabelError(
                str(path),
                expected="a polygon of 3 points or more, rectangle or circle of 2, line, linestrip, point, or mask",
                received=f"{kind} of {count} points, labelled {shape.label!r}",
            )
    return np.array(canvas)


def _placed(shape: Shape, size: tuple[int, int], path: Path) -> NDArray[np.bool_]:
    """(H, W) a mask at its place."""
    try:
        with Image.open(BytesIO(base64.b64decode(shape.mask or ""))) as picture:
            crop = np.array(picture) > 0
        left, top = (int(value) for value in shape.points[0])
        mask = np.zeros(size, np.bool_)
        mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        return mask
    except (OSError, ValueError, IndexError) as error:
        raise LabelError(str(path), expected="a mask as PNG in base64, within the image", received=str(error)) from error


def _shape(label: str, mask: NDArray[np.bool_]) -> Shape:
    """A mask as a shape, cut to its box."""
    down, across = window = window_of(mask)
    data = cv2.imencode(".png", mask[window].astype(np.uint8) * 255)[1].tobytes()
    corners: list[tuple[float, float]] = [(across.start, down.start), (across.stop - 1, down.stop - 1)]
    return Shape(label, corners, "mask", None, base64.b64encode(data).decode())
