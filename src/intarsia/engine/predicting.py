"""The answers for images in files, as files: pictures for people, maps and tables for programs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from intarsia.core.errors import DatasetNotFound, OptionError
from intarsia.core.files import whole_file
from intarsia.data.class_files import write_classes
from intarsia.data.coco_file import ImageEntry, file_content
from intarsia.data.coding import Coding
from intarsia.data.formats.coco_instances import object_entries
from intarsia.data.formats.coco_panoptic import Annotation, id_colours, segment_entries
from intarsia.data.images import IMAGE_SUFFIXES, write_bytes, write_image
from intarsia.draw.label_map import label_map
from intarsia.draw.overlay import overlay
from intarsia.draw.save import save
from intarsia.ops.object_table import object_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from intarsia.engine.network import Model

__all__ = ["predict_files"]

COLUMNS = ("image", "object", "class", "score", "x0", "y0", "x1", "y1", "pixels", "x", "y")
"""Of a table without rows."""


def predict_files(
    model: Model,
    named: Iterable[Path],
    out: Path,
    *,
    min_score: float | None = None,
    spacing: tuple[float, ...] | None = None,
) -> list[Path]:
    """For each image, or each image of a folder, STEM_overlay.png in `out` and a map, and what programs read; gives the maps.

    semantic: STEM.png, a label map of class ids, and classes.json, which names them.
    instance: STEM.png, 16-bit numbers of objects, where they overlap that of the surest; instances.json, COCO's form with masks as
    run lengths and scores; objects.csv, a row for each object (see `object_table`), whose column `object` is that number.
    panoptic: panoptic/STEM.png and panoptic.json in COCO's form, where what is of no segment is void; objects.csv for the things.

    Objects and segments of less than `min_score` are left out; None leaves out instances of less than 0.5 and nothing else.
    `spacing` is mm a pixel along each axis, for the table; a GeoTIFF knows its own. Images that are named by numbers have them for
    ids, as in COCO. The files of all images are written when the last image is done. Raises OptionError where the files would lie
    over the images or over each other, and for a score or a spacing that classes of pixels have no use for.
    """
    files = [file for path in named for file in _image_files(path)]
    task, classes = model.recipe.task, model.classes
    maps = [(out / "panoptic" if task == "panoptic" else out) / f"{file.stem}.png" for file in files]
    pictures = [out / f"{file.stem}_overlay.png" for file in files]
    if len({*maps, *pictures}) < 2 * len(files) or {path.resolve() for path in maps + pictures} & {f.resolve() for f in files}:
        raise OptionError("--out", expected="a folder apart from the images, and images of distinct names", received=str(out))
    if task == "semantic" and (min_score is not None or spacing is not None):
        unused = "--min-score" if spacing is None else "--spacing"
        raise OptionError(unused, expected="none for classes of pixels, which have no scores and no table", received="one")
    if task == "semantic":
        write_bytes(out / "classes.json", write_classes(Coding.from_classes(classes)))
    named_by_number = all(file.stem.isascii() and file.stem.isdigit() for file in files)
    numbers = [int(file.stem) for file in files] if named_by_number else list(range(1, len(files) + 1))
    if len({*numbers}) < len(files):  # 07 and 7
        numbers = list(range(1, len(files) + 1))
    images: list[ImageEntry] = []
    annotations: list[Any] = []
    rows: list[dict[str, Any]] = []
    for file, target, picture in zip(files, maps, pictures, strict=True):
        answer = model.predict(file, min_score=min_score, spacing=spacing)
        if task == "semantic":
            answer.save(picture)
            answer.save_label_map(target)
            continue
        assert answer.segments is not None  # it is an answer
        segments = answer.segments.compact()  # a segment that is told must be seen, says COCO
        boxes = task == "instance"
        save(overlay(answer.image, segments, classes, boxes=boxes, legend=True, counts=True), picture)
        number = numbers[len(images)]
        images.append(ImageEntry(number, file.name, *answer.image.shape[1::-1]))
        rows += object_table(segments, classes, key=file.stem, spacing=answer.spacing, geo=answer.geo)
        if task == "instance":
            save(label_map(segments, classes, by="object"), target)
            annotations += object_entries(segments, number, len(annotations), scored=True)
        else:
            write_image(target, id_colours(segments))
            annotations.append(Annotation(number, target.name, segment_entries(segments, scored=True)))
    if task != "semantic":
        name = "panoptic.json" if task == "panoptic" else "instances.json"
        write_bytes(out / name, file_content(classes, images, annotations))
        _write_table(out / "objects.csv", rows)
    return maps


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A CSV of rows that need not all have the same columns."""
    columns = list(dict.fromkeys(column for row in rows for column in row)) or COLUMNS
    with whole_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        writer.writerows(rows)


def _image_files(path: Path) -> list[Path]:
    """The image itself, or all images directly in a folder."""
    if path.is_file():
        return [path]
    files = sorted(file for file in path.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else []
    if not files:
        raise DatasetNotFound(
            str(path), expected="an image or a folder of images", received="an empty folder" if path.is_dir() else "nothing"
        )
    return files
