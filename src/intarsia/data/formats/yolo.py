"""yolo: a text file of polygons for each image, as Ultralytics trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import yaml

from intarsia.core.classes import ClassSet
from intarsia.core.errors import DatasetNotFound, InvalidNoun, LabelError, PairingError
from intarsia.core.segments import Segments
from intarsia.data.dataset import Dataset
from intarsia.data.folders import files_under, found_images, listing, unique_keys, walked, whole_folder
from intarsia.data.holds import Holds, check, inner_key
from intarsia.data.images import IMAGE_SUFFIXES, read_image, write_bytes
from intarsia.data.records import Record, ends, put_image
from intarsia.ops.packing import pack
from intarsia.ops.polygons import filled, outlines
from intarsia.ops.rle import from_rle, to_rle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["YOLO"]

FILES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
MARGIN = 0.01
"""How far a corner may lie outside of 0..1, as in Ultralytics' own check; it is moved to the border."""
RUN_LENGTHS = (
    "{} object{} with holes or in several parts, in {} image{}, became rle lines, which Intarsia reads and Ultralytics (8.4) does "
    "not: it skips an image with one. coco_instances holds them for other tools."
)
KEYS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


class YOLO:
    """`data.yaml` with `names` and, for each split, the folder of its images; beside a folder `images` lies `labels` with a file of
    the same stem. A line is an object: its class and the corners `x y x y ...` as shares of width and height, or
    `class rle height width counts` in COCO's run lengths, which Ultralytics 8.4 does not read. An image without a file has no
    object. A split may also name a text file with the path of an image on each line.

    docs.ultralytics.com/datasets/segment; run lengths as proposed in ultralytics pull request 25944.
    """

    general: ClassVar[bool] = False
    holds: ClassVar[Holds] = Holds(
        instances=True, overlap=True, void=False, background=False, splits=("train", "val", "test"), reserved=("images",)
    )
    looks: ClassVar[str] = "data.yaml + images/train/ + labels/train/*.txt"

    @staticmethod
    def detect(path: Path, **_: Any) -> str:
        """A `data.yaml` that names classes."""
        file = _file(path)
        try:
            return file.name if file is not None and isinstance(_read(file).get("names"), list | dict) else ""
        except LabelError:
            return f"{file.name}, which is broken" if file is not None and (path / "images").is_dir() else ""

    @staticmethod
    def open(path: Path) -> Dataset:
        """The data set in a folder. Raises PairingError for a split of which no image has a text file."""
        file = _file(path)
        if file is None:
            raise DatasetNotFound(str(path), expected=YOLO.looks, received="neither")
        content = _read(file)
        records = []
        looked = []
        for name, split in KEYS.items():
            places = _places(file, content, name)
            looked += places
            found = [(key, image, _label(image, path)) for place in places for key, image in _images(path, content, place).items()]
            if found and all(label is None for _, _, label in found):
                raise PairingError(
                    str(file),
                    expected=f"beside images/ a folder labels/ with a text file for images of {name}",
                    received=f"none for {len(found)} images such as {found[0][1]}",
                    hint="Name the folder labels, or give an image without objects an empty text file.",
                )
            records += [Record(key, image, label, split) for key, image, label in found]
        records = found_images(unique_keys(records), looked or [path])
        classes = _classes(file, content)
        return Dataset(records, classes, YoloReader(len(classes)), name=path.name, root=path, format="yolo")

    @staticmethod
    def left_over(path: Path, records: Sequence[Record]) -> list[Path]:
        """The text files without image."""
        files = sorted(walked(path))
        taken = {_label(file, path) for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
        texts = [file for file in files if file.suffix == ".txt" and "labels" in file.relative_to(path).parts[:-1]]
        return [file for file in texts if file not in taken and file.name != "classes.txt"]  # which LabelImg puts there

    @staticmethod
    def held(classes: ClassSet) -> ClassSet:
        """The names, all things."""
        return _things(classes.names)

    @staticmethod
    def write(dataset: Dataset, path: Path) -> str | None:
        """Write `images/SPLIT/KEY`, `labels/SPLIT/KEY.txt` and `data.yaml`: polygons, and run lengths where an object has holes
        or parts that no polygon tells; how many those are is returned.
        """
        check(YOLO, dataset, "yolo")
        classes, holed = dataset.classes, []
        with whole_folder(path) as folder:
            for record, sample in zip(dataset.records, dataset, strict=True):
                assert sample.segments is not None  # held, says the check
                name = f"{record.split}/{inner_key(record)}"
                put_image(folder / "images" / name, record, sample.image)
                lines = [_line(sample.segments, row) for row in range(len(sample.segments))]
                write_bytes(folder / "labels" / f"{name}.txt", "".join(lines).encode())
                holed.append(sum(" rle " in line for line in lines))
            content = {split: f"images/{split}" for split in dataset.splits} | {"names": dict(enumerate(classes.names))}
            write_bytes(folder / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
        count, images = sum(holed), sum(map(bool, holed))
        return RUN_LENGTHS.format(count, "s" * (count > 1), images, "s" * (images > 1)) if count else None


@dataclass(frozen=True)
class YoloReader:
    """Reads the image of a record and the objects of its text file."""

    count: int
    """Of the classes."""

    def image(self, record: Record) -> NDArray[Any]:
        """(H, W, C) of the image file."""
        assert record.image is not None
        return read_image(record.image)

    def segments(self, record: Record) -> Segments:
        """A row for each line. LabelError that names the line which is none."""
        size = self.image(record).shape[:2]
        if record.label is None:
            return Segments.empty(size)
        classes, masks = [], []
        try:
            lines = record.label.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise LabelError(str(record.label), expected="text in UTF-8", received=str(error)) from error
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if not words:
                continue
            try:
                classes.append(_class(words[0], self.count))
                masks.append(_mask(words[1:], size))
            except (ValueError, LabelError) as error:
                boxes = len(words) == 5 and words[1] != "rle"
                raise LabelError(
                    f"{record.label}, line {number}",
                    expected="a class and x y of three corners or more, or class rle height width counts",
                    received="a box" if boxes else f"{line[:40]!r}: {error}",
                    hint="Boxes are labels for detection; segmentation needs outlines." if boxes else "",
                ) from error
        return pack(np.array(masks, np.bool_).reshape(-1, *size), classes)  # (N, H, W)

    def grid(self, record: Record) -> dict[str, Any]:
        """Nothing: photographs have no scale."""
        return {}

    def content(self, record: Record) -> Iterator[bytes]:
        """The ends of both files."""
        return ends(record.image, record.label)


def _class(word: str, count: int) -> int:
    """The class that a line begins with. ValueError for one that there is not."""
    value = float(word)
    if value not in range(count):  # some tools write 1.0
        raise ValueError(f"class {word}, where names are 0..{count - 1}")
    return int(value)


def _mask(words: list[str], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) what the words after the class say; a coordinate is cut to its pixel, as Ultralytics does."""
    if words[:1] == ["rle"]:
        height, width, counts = words[1:]
        mask = from_rle({"size": [int(height), int(width)], "counts": counts})
        if mask.shape != size:
            raise LabelError("run lengths", expected=f"the size of the image, {size}", received=mask.shape)
        return mask
    shares = np.array(words, np.float64)
    if len(shares) < 6 or len(shares) % 2:
        raise ValueError(f"{len(shares)} numbers")
    if not ((shares >= -MARGIN) & (shares <= 1 + MARGIN)).all():  # nor nan
        raise ValueError("corners that are no shares of width and height, 0..1")
    corners = shares.reshape(-1, 2) * (size[1], size[0])
    return filled([np.clip(corners, 0, (size[1] - 1, size[0] - 1))], size)


def _line(segments: Segments, row: int) -> str:
    """The line of an object: a polygon where it gives the mask back, else run lengths."""
    mask, height, width = segments.mask(row), *segments.size
    found = outlines(mask)
    index = int(segments.classes[row])
    if len(found) == 1 and len(found[0]) > 2:
        shares = (found[0] + 0.5) / (width, height)  # the middle of each pixel, so that cutting gives the pixel
        words = " ".join(f"{value:.6f}" for value in shares.ravel())
        if np.array_equal(_mask(words.split(), (height, width)), mask):
            return f"{index} {words}\n"
    return f"{index} rle {height} {width} {to_rle(mask)['counts']}\n"


def _file(path: Path) -> Path | None:
    return next((path / name for name in FILES if (path / name).is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    """The YAML; LabelError for what is none."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise LabelError(str(file), expected="YAML", received=str(error).splitlines()[0]) from error
    return content if isinstance(content, dict) else {}


def _classes(file: Path, content: dict[str, Any]) -> ClassSet:
    """`names`, a list or by number from 0."""
    names = content.get("names")
    if isinstance(names, dict):
        names = [names[number] for number in range(len(names))] if set(names) == set(range(len(names))) else ()
    if not isinstance(names, list):
        names = ()
    try:
        texts = tuple(str(name) for name in names or ())
        return _things(texts)
    except InvalidNoun as error:
        raise LabelError(
            str(file), expected="names: a list, or names by number from 0", received=repr(content.get("names"))
        ) from error


def _things(names: tuple[str, ...]) -> ClassSet:
    return ClassSet(names, things=names, void=() if "void" in names else ("void",), nothing=True)


def _places(file: Path, content: dict[str, Any], name: str) -> list[Path]:
    """The image folders or lists of a split: as written, below `path` in the file, or, where that was of another machine, by their
    end. Raises DatasetNotFound for one that is not there; that of the test split may be missing.
    """
    value, path = content.get(name) or [], file.parent
    found = []
    for text in value if isinstance(value, list) else [value]:
        parts = Path(str(text)).parts
        places = [
            _base(path, content) / str(text),
            path / str(text),
            *(path.joinpath(*parts[start:]) for start in range(1, len(parts))),
        ]
        place = next((place for place in places if place.is_dir() or (place.is_file() and place.suffix == ".txt")), None)
        if place is not None:
            found.append(place)
        elif name != "test":
            hint = f"Mend or remove {name!r} in {file.name}."
            raise DatasetNotFound(
                str(file), expected=f"{name}: a folder of images, or a .txt that lists them", received=text, hint=hint
            )
    return found


def _base(path: Path, content: dict[str, Any]) -> Path:
    return path / str(content.get("path") or "")


def _images(path: Path, content: dict[str, Any], place: Path) -> dict[str, Path]:
    """The images of a folder, or those that a list names, by key. PairingError for one that is not there."""
    if place.is_dir():
        return files_under(place)
    base = _base(path, content)
    known = listing(base if base.is_dir() else path)
    try:
        lines = [line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise LabelError(str(place), expected="the path of an image on each line", received=str(error)) from error
    inner = [known.named(line) for line in lines]
    return {image.with_suffix("").as_posix().removeprefix("images/"): known.folder / image for image in inner}


def _label(image: Path, root: Path) -> Path | None:
    """The text file of an image: the last folder called images becomes labels."""
    parts = (
        list(image.relative_to(root).with_suffix(".txt").parts) if root in image.parents else list(image.with_suffix(".txt").parts)
    )
    for place in reversed(range(len(parts))):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    label = root.joinpath(*parts)
    return label if label.is_file() else None
