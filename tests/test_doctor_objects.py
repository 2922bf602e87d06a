"""The doctor on data of objects: what goes wrong with them, on dirty copies that one check alone flags, and what only looks so."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

import intarsia
from intarsia.core import ClassSet, Sample, Segments
from intarsia.data.dataset import Dataset
from intarsia.data.doctor import _objects
from intarsia.data.doctor._boxes import misfit
from intarsia.data.doctor._objects import object_facts
from intarsia.data.examine import examine, mended
from intarsia.data.images import read_image, read_labels, write_image, write_labels
from intarsia.data.open import open_dataset

SIZE = (64, 96)
CELL, STUFF = ClassSet(("cell",), things=("cell",), nothing=True), ClassSet(("ground", "cell"), things=("cell",))
CHECKS = ("repeated_objects", "scattered_objects", "boxes_astray", "merged_objects", "lost_objects", "only_crowds")


def discs(number: int) -> np.ndarray:
    """(H, W) four to six discs, apart, numbered from 1."""
    ids = np.zeros(SIZE, np.int16)
    for place in range(4 + number % 3):
        middle = (14 + 30 * (place % 3) + number % 5, 16 + 32 * (place // 3) - number % 3)
        cv2.circle(ids, middle, 6 + (number + place) % 3, place + 1, -1)
    return ids


def samples(*, stuff: bool = False) -> list[Sample]:
    found = []
    for number in range(8):
        rng = np.random.default_rng(number)
        image = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        ids = discs(number)
        count = int(ids.max())
        segments = Segments(ids[None] + 1, [0] + [1] * count) if stuff else Segments(ids[None], [0] * count)
        found.append(Sample(image, segments, f"i{number}"))
    return found


def clean(root: Path, to: str) -> Path:
    """Images of cells in a format."""
    stuff = to in ("coco_panoptic", "voc")
    some = samples(stuff=stuff)
    splits = {one.key: ("train", "train", "val")[number % 3] for number, one in enumerate(some)}
    data = Dataset.from_samples(some, STUFF if stuff else CELL, splits=splits)
    intarsia.convert(data, root, to, lose=("classes", "order"))
    return root


def found(root: Path, **options) -> dict:
    return {finding.check: finding for finding in examine(root, **options).findings}


def masks(root: Path, folder: str = "masks") -> list[Path]:
    return sorted((root / folder).rglob("*.png"))


def in_json(root: Path, how, file: str = "instances") -> None:
    """Changes a COCO file: `how` gets its annotations."""
    for path in (root / "annotations").glob(f"{file}_*.json"):
        content = json.loads(path.read_text())
        content["annotations"] = how(content["annotations"])
        path.write_text(json.dumps(content))


FORMATS = ["mask_folder", "coco_instances", "coco_panoptic", "object_masks", "yolo", "labelme", "voc"]


@pytest.mark.parametrize("to", FORMATS)
def test_clean_objects_have_no_finding(to, tmp_path):
    report = examine(clean(tmp_path, to), size=SIZE)
    assert report.findings == ()
    assert all(one.objects.single >= 4 for one in report.survey.facts)


# -- dirty copies -----------------------------------------------------------------------------------------------------------------


def twice_in_coco(root):
    def again(entries):
        more = [entry | {"id": entry["id"] + 1000} for entry in entries if entry["image_id"] == 1][:2]
        return [*entries, *more]

    in_json(clean(root, "coco_instances"), again)


def twice_in_files(root):
    for path in sorted(clean(root, "object_masks").rglob("masks/00002.png"))[:2]:
        mask = read_labels(path)
        mask[read_labels(path).argmax() // SIZE[1], :] = 0  # all but one line
        write_labels(path.with_name("00099.png"), mask)


def twice_in_lines(root):
    path = sorted((clean(root, "yolo") / "labels").rglob("*.txt"))[0]
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1], lines[1]]) + "\n")


def twice_in_shapes(root):
    path = sorted(clean(root, "labelme").rglob("*.json"))[0]
    content = json.loads(path.read_text())
    content["shapes"].append(content["shapes"][0])
    path.write_text(json.dumps(content))


def number_given_again(root):
    for path in masks(clean(root, "mask_folder"))[:3]:
        labels = read_labels(path)
        write_labels(path, np.where(labels == 3, 1, labels))


def stray_pixel(root):
    path = masks(clean(root, "mask_folder"))[2]
    labels = read_labels(path)
    labels[63, 95] = 1
    write_labels(path, labels)


def number_given_again_in_voc(root):
    path = masks(clean(root, "voc"), "SegmentationObject")[0]
    labels = read_labels(path)
    write_labels(path, np.where(labels == 3, 1, labels), ((0, 0, 0),) * 9)


def number_given_again_in_colours(root):
    root = clean(root, "coco_panoptic")
    path = sorted((root / "annotations/panoptic_train").iterdir())[0]
    colours = read_image(path)
    colours[colours[..., 0] == 4] = (2, 0, 0)
    write_image(path, colours)

    def without(entries):
        for entry in entries:
            if entry["file_name"] == path.name:
                entry["segments_info"] = [one | {"bbox": None} for one in entry["segments_info"] if one["id"] != 4]
        return entries

    in_json(root, without, "panoptic")


def strayed_in_files(root):
    path = sorted(clean(root, "object_masks").rglob("masks/00001.png"))[0]
    mask = read_labels(path)
    mask[60:, 90:] = 255
    write_labels(path, mask)


def boxes(root, how, to="coco_instances"):
    def astray(entries):
        for entry in entries:
            for one in [entry] if to == "coco_instances" else entry["segments_info"]:
                one["bbox"] = how(*one["bbox"])
        return entries

    in_json(clean(root, to), astray, to.removeprefix("coco_"))


def corners(root):
    boxes(root, lambda x, y, w, h: [x, y, x + w, y + h])


def centres(root):
    boxes(root, lambda x, y, w, h: [x + w / 2, y + h / 2, w, h])


def of_a_larger_image(root):
    boxes(root, lambda x, y, w, h: [2 * x, 3 * y, 2 * w, 3 * h])


def as_shares(root):
    boxes(root, lambda x, y, w, h: [x / SIZE[1], y / SIZE[0], w / SIZE[1], h / SIZE[0]])


def of_another_image(root):
    boxes(root, lambda x, y, w, h: [(x + 31) % 70, (y * 7) % 50, w, h])


def corners_of_segments(root):
    boxes(root, lambda x, y, w, h: [x, y, x + w, y + h], "coco_panoptic")


def binary_as_objects(root):
    for path in masks(clean(root, "mask_folder")):
        write_labels(path, (read_labels(path) > 0).astype(np.uint8))


def two_as_one(root):
    for path in masks(clean(root, "mask_folder")):
        write_labels(path, np.isin(read_labels(path), [1, 2]).astype(np.uint8))


def classes_as_objects(root):
    for path in masks(clean(root, "mask_folder")):
        labels = np.tile(read_labels(path)[::2, ::2], (2, 2))  # the discs four times, smaller
        write_labels(path, np.where(labels > 0, 1 + labels % 2, 0))


def one_entry_for_all(root):
    clean(root / "cells", "mask_folder")
    data = open_dataset(root / "cells")
    merged = [
        Sample(sample.image, Segments((sample.segments.ids > 0).astype(np.int8), [0]), record.key)
        for record, sample in zip(data.records, data, strict=True)
    ]
    splits = {record.key: record.split for record in data.records}
    intarsia.convert(Dataset.from_samples(merged, CELL, splits=splits), root / "coco", "coco_instances")
    for path in sorted((root / "cells").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "cells").rmdir()
    for path in (root / "coco").iterdir():
        path.rename(root / path.name)
    (root / "coco").rmdir()


def beyond_the_image(root):
    def moved(entries):
        for entry in entries[:2]:
            entry["segmentation"] = [[200, 200, 240, 200, 240, 240]]
            del entry["bbox"], entry["area"]
        return entries

    in_json(clean(root, "coco_instances"), moved)


def too_narrow(root):
    def narrow(entries):
        entries[3]["segmentation"], entries[3]["bbox"] = [[80.1, 60.1, 80.3, 60.1, 80.3, 60.2]], [80.1, 60.1, 0.2, 0.1]
        return entries

    in_json(clean(root, "coco_instances"), narrow)


def a_dot(root):
    path = masks(clean(root, "mask_folder"))[2]
    labels = read_labels(path)
    labels[63, 95] = labels.max() + 1
    write_labels(path, labels)


def an_empty_file(root):
    path = sorted(clean(root, "object_masks").rglob("masks/00001.png"))[0]
    write_labels(path, np.zeros(SIZE, np.uint8))


def a_row_without_pixels(root):
    def more(entries):
        entries[0]["segments_info"].append({"id": 77, "category_id": 2, "bbox": [20, 30, 8, 8], "area": 64, "iscrowd": 0})
        return entries

    in_json(clean(root, "coco_panoptic"), more, "panoptic")


def every_one_a_crowd(root):
    in_json(clean(root, "coco_instances"), lambda entries: [entry | {"iscrowd": 1} for entry in entries])


DIRTY = {
    "repeated_objects": [twice_in_coco, twice_in_files, twice_in_lines, twice_in_shapes],
    "scattered_objects": [
        number_given_again, stray_pixel, number_given_again_in_voc, number_given_again_in_colours, strayed_in_files,
    ],
    "boxes_astray": [corners, centres, of_a_larger_image, as_shares, of_another_image, corners_of_segments],
    "merged_objects": [binary_as_objects, two_as_one, classes_as_objects, one_entry_for_all],
    "lost_objects": [beyond_the_image, too_narrow, a_dot, an_empty_file, a_row_without_pixels],
    "only_crowds": [every_one_a_crowd],
}  # fmt: skip
EVERY = [pytest.param(check, dirty, id=f"{check}-{dirty.__name__}") for check, some in DIRTY.items() for dirty in some]


def test_every_check_of_objects_has_a_dirty_copy():
    assert set(DIRTY) == set(CHECKS)


@pytest.mark.parametrize(("check", "dirty"), EVERY)
def test_each_dirty_copy_is_flagged_by_its_check_alone(check, dirty, tmp_path):
    dirty(tmp_path)
    report = examine(tmp_path, size=SIZE)
    assert [finding.check for finding in report.findings] == [check]
    finding = report.findings[0]
    assert report.sound
    assert len(finding.keys) == len(finding.files) > 0
    assert "{" not in finding.message + finding.remedy
    assert json.dumps(report.to_dict())


# -- what is told -----------------------------------------------------------------------------------------------------------------


def told(dirty, root):
    dirty(root)
    [finding] = examine(root).findings
    return finding


def test_an_object_given_twice_is_told_with_its_place(tmp_path):
    finding = told(twice_in_lines, tmp_path)
    assert finding.message == (
        "2 objects cover the pixels of an earlier one of the same class, in 1 image: cell at x 44, y 16 in images/train/i0.png"
    )


def test_only_nearly_the_same_pixels_of_the_same_class_are_one_object():
    ids = np.zeros((3, 20, 40), np.int8)
    ids[0, :10, :10], ids[1, :10, :9], ids[2, :10, 1:10] = 1, 2, 3
    assert facts(ids, [0, 0, 0]).repeated.number == 0  # of 10 columns 9 are shared: an IoU of 0.9
    ids[1, :10, :10], ids[1, 0, 0] = 2, 0
    ids[2] = 0
    assert facts(ids, [0, 0, 0]).repeated == (1, 0, 5, 5)
    ids[0, :20, :10] = 1
    ids[1, :18, :10], ids[1, 18, :5] = 2, 2  # smaller and later: 185 of 200 pixels
    assert facts(ids, [0, 0, 0]).repeated == (1, 0, 5, 9)
    assert facts(ids, [0, 1, 0]).repeated.number == 0
    assert facts(ids, [0, 0, 0], crowd=[False, True, False]).repeated.number == 0


def test_of_several_that_are_one_all_but_the_first_are_told():
    rng = np.random.default_rng(0)
    ids = np.zeros((3, 200, 200), np.int16)
    for place in range(100):
        y, x = 20 * (place // 10), 20 * (place % 10)
        size = 10 + int(rng.integers(0, 8))
        for layer in range(3):
            ids[layer, y : y + size, x : x + size] = 1 + place + 100 * layer
    assert facts(ids, [0] * 300).repeated.number == 200


def test_an_object_in_far_pieces_is_told_with_its_place(tmp_path):
    finding = told(number_given_again, tmp_path)
    assert finding.message == (
        "3 objects have pieces farther apart than the largest is long, and no other object between, in 3 images: cell at x 45, "
        "y 16 in masks/train/i0.png"
    )


@pytest.mark.parametrize("hidden", [0.3, 0.9, -1])
def test_an_object_that_another_cuts_in_two_is_whole(hidden):
    """Two ends of a long thing, between them nothing, or another object or void over a share of the way."""
    ids = np.zeros((1, 20, 100), np.int8)
    ids[0, 5:15, :10] = ids[0, 5:15, 90:] = 1
    assert facts(ids, [0, 0]).scattered.number == 1
    ids[0, :, 10 : 10 + int(80 * abs(hidden))] = 2 if hidden > 0 else -1
    assert facts(ids, [0, 0]).scattered.number == (hidden == 0.3)


def test_pieces_in_a_row_behind_a_fence_are_one_object():
    ids = np.zeros((1, 20, 120), np.int8)
    ids[0, 5:15] = np.arange(120) % 20 < 10
    assert facts(ids, [0]).scattered.number == 0
    ids[0, :, 20:60] = 0
    assert facts(ids, [0]).scattered.number == 1


def test_stuff_may_lie_anywhere_and_hides_nothing():
    ids = np.full((1, 20, 100), 1, np.int8)
    ids[0, 5:15, :10] = ids[0, 5:15, 90:] = 2
    assert facts(ids, [1, 0]).scattered.number == 1
    assert facts(ids, [0, 1]).scattered.number == 0


def test_far_pieces_among_outlines_are_normal(tmp_path):
    def pieces(entries):
        entries[0]["segmentation"] = [[2, 2, 8, 2, 8, 8, 2, 8], [80, 50, 86, 50, 86, 56, 80, 56]]
        entries[0]["bbox"] = [2, 2, 84, 54]
        return entries

    in_json(clean(tmp_path, "coco_instances"), pieces)
    assert found(tmp_path) == {}


@pytest.mark.parametrize(
    ("dirty", "remedy"),
    [
        (corners, "They look like corners: write x, y, width, height in place of x0, y0, x1, y1"),
        (corners_of_segments, "They look like corners: write x, y, width, height in place of x0, y0, x1, y1"),
        (centres, "They look like those with their centre first: write x, y of the upper left corner"),
        (of_a_larger_image, "They fit an image 2 times as wide and 3 times as high: scale them as the image was"),
        (as_shares, "They fit an image 0.0104 times as wide and 0.0156 times as high: scale them as the image was"),
        (of_another_image, "Compute them anew from the masks, and look whether these lie on the objects"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_how_boxes_were_meant_is_told(dirty, remedy, tmp_path):
    finding = told(dirty, tmp_path)
    assert finding.remedy == f"{remedy}. Intarsia itself trains on the masks"
    assert " less than half of what the masks take: that of cell at x " in finding.message


def test_boxes_of_fractions_of_thin_things_and_of_what_goes_on_beyond_the_image_fit():
    tight = np.array([[5, 5, 6, 25], [0, 0, 30, 40], [50, 50, 52, 52]], float)
    stored = np.array([[5.4, 5.2, 5.6, 24.9], [-60, -80, 30, 40], [50.2, 51.9, 50.3, 52]], float)
    assert misfit(tight, stored, (100, 100))[0].tolist() == []
    assert misfit(tight, stored + np.array([[0, 0, 3, 0], [0, 0, 60, 60], [3, 3, 3, 3]]), (100, 100))[0].tolist() == [0, 1, 2]


def test_merged_objects_are_told_and_numbered_in_a_mended_copy(tmp_path):
    root = tmp_path / "data"
    finding = told(binary_as_objects, root)
    assert finding.message.startswith("8 of 8 objects, in 8 images, are 39 separate pieces of alike size")
    copy = mended(examine(root), tmp_path / "out")
    assert copy.changed == {"merged_objects": 8}
    assert found(tmp_path / "out") == {}
    for path, whole in zip(masks(tmp_path / "out"), masks(clean(tmp_path / "clean", "mask_folder")), strict=True):
        labels, true = read_labels(path).astype(int), read_labels(whole).astype(int)
        pairs = np.unique(np.stack([labels, true]).reshape(2, -1), axis=1)
        assert pairs.shape == (2, true.max() + 1)  # each number one object, and each object one number


def test_void_stays_void_where_objects_are_parted(tmp_path):
    binary_as_objects(tmp_path / "data")
    for path in masks(tmp_path / "data"):
        labels = read_labels(path).astype(np.uint16)
        labels[:, 92:] = 65535
        write_labels(path, labels)
    mended(examine(tmp_path / "data"), tmp_path / "out")
    for path in masks(tmp_path / "out"):
        assert (read_labels(path)[:, 92:] == 65535).all()
    assert found(tmp_path / "out") == {}


def test_one_object_in_each_image_is_not_merged(tmp_path):
    for path in masks(clean(tmp_path, "mask_folder")):
        write_labels(path, (read_labels(path) == 1).astype(np.uint8))
    assert found(tmp_path) == {}
    for path, whole in zip(masks(tmp_path)[:2], map(discs, (0, 1)), strict=True):  # few of them in many pieces
        write_labels(path, (whole > 0).astype(np.uint8))
    assert "merged_objects" not in found(tmp_path)


def test_a_class_for_each_pixel_is_no_data_of_objects(tmp_path):
    root = clean(tmp_path, "voc")
    for path in masks(root, "SegmentationObject"):
        path.unlink()
    for path, kept in zip(masks(root, "SegmentationClass"), ([1], []), strict=False):  # a disc and a dot, and a dot
        labels = np.isin(discs(0), kept)
        labels[63, 95] = True
        write_labels(path, labels.astype(np.uint8), ((0, 0, 0), (128, 0, 0)))
    report = examine(root)
    assert report.findings == ()
    assert all(one.objects.most == 1 for one in report.survey.facts)
    assert [one.objects.scattered.number + one.objects.lost.number for one in report.survey.facts[:3]] == [1, 1, 0]
    root = tmp_path / "ids"
    for path in masks(clean(root, "mask_folder")):
        write_labels(path, (read_labels(path) > 0).astype(np.uint8))
    (root / "classes.json").write_text(json.dumps({"names": ["ground", "cell"], "things": ["cell"]}))
    report = examine(root)
    assert report.findings == ()
    assert all(one.objects is None for one in report.survey.facts)


@pytest.mark.parametrize("side", [10, 5])
def test_numbers_that_ran_over_are_told_once(side, tmp_path):
    """A number of 8 bits for one or two objects, or for five."""
    write_image(tmp_path / "images" / "a.png", samples()[0].image.repeat(3, axis=0).repeat(2, axis=1))
    numbers = np.arange(192 // side * (192 // side)).reshape(192 // side, -1) % 255 + 1
    labels = np.kron(numbers, np.pad(np.ones((side - 1, side - 1), np.int64), (0, 1)))
    write_labels(tmp_path / "masks" / "a.png", np.pad(labels, [(0, 192 - len(labels)), (0, 192 - len(labels))]).astype(np.uint8))
    report = examine(tmp_path, objects="cell")
    [one] = report.survey.facts
    assert one.objects.scattered.number + one.objects.many > 20
    assert [finding.check for finding in report.findings] == ["many_objects"]


def test_objects_without_a_place_are_told_without_one(tmp_path):
    finding = told(beyond_the_image, tmp_path)
    assert finding.message == "4 objects have one pixel or none (4 none), in 2 images: cell in images/train/i0.png"


def test_of_an_object_without_pixels_the_place_is_that_of_its_box(tmp_path):
    finding = told(a_row_without_pixels, tmp_path)
    assert "2 objects have one pixel or none (2 none), in 2 images: cell at x 24, y 34 in images/" in finding.message


def test_specks_are_no_pieces_of_alike_size():
    ids = np.zeros((1, 40, 40), np.int8)
    ids[0, 5:15, 5:15], ids[0, 5:10, 20:24], ids[0, 30:35, 20:25] = 1, 1, 1
    assert (facts(ids, [0]).parted, facts(ids, [0]).pieces) == (1, 2)  # of 100, 20 and 25 pixels


def test_lost_objects_are_not_small_ones_too(tmp_path):
    a_dot(tmp_path)
    assert set(found(tmp_path, size=(32, 48))) == {"lost_objects"}
    assert set(found(tmp_path, size=(16, 24))) == {"lost_objects", "small_objects"}
    message = found(tmp_path)["lost_objects"].message
    assert message == "1 object has one pixel or none (0 none), in 1 image: cell at x 95, y 63 in images/train/i3.png"


def test_crowds_are_told_only_where_nothing_else_is_trained_on(tmp_path):
    finding = told(every_one_a_crowd, tmp_path / "all")
    assert finding.severity == "note"
    assert finding.message.startswith(
        "all 27 objects to train on, in 6 images, are crowds, which nothing is learnt of: images/train"
    )
    root = clean(tmp_path / "some", "coco_instances")
    in_json(root, lambda entries: [entry | {"iscrowd": 1} for entry in entries[1:]] + entries[:1])
    assert found(root) == {}


# -- much data ------------------------------------------------------------------------------------------------------------------


def facts(ids, classes, *, boxes=None, crowd=None):
    """Those of ids (L, H, W), of which class 0 is a thing."""
    segments = Segments(ids, classes, boxes=boxes, crowd=crowd)
    return object_facts(segments, segments.areas, np.array([True] + [False] * 4) if 1 in classes else np.array([True]))


def test_the_pieces_of_numbers_all_over_the_image_are_looked_at_within_bounds(monkeypatch):
    looked = []
    whole = cv2.connectedComponentsWithStats
    monkeypatch.setattr(_objects.cv2, "connectedComponentsWithStats", lambda *a, **k: looked.append(a[0].size) or whole(*a, **k))
    ids = np.random.default_rng(0).integers(0, 400, (1, 256, 256)).astype(np.int16)
    assert facts(ids, [0] * 400).many > 0
    assert sum(looked) <= 64 * ids.size


def test_little_is_kept_of_the_objects_of_a_pair():
    ids = np.kron(np.arange(1, 677).reshape(26, 26), np.ones((8, 8), np.int64))[None]
    stored = Segments(ids, [0] * 676).boxes * 3
    facts(ids, [0] * 676)
    tracemalloc.start()
    kept = [facts(ids, [0] * 676, boxes=stored) for _ in range(4)]
    size = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    assert kept[0].astray.number > 600
    assert size < 2048


# -- real data ------------------------------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize("name", ["dsb2018_nuclei", "pennfudan", "coco_instances", "coco_panoptic", "voc_subset"])
def test_real_objects_raise_no_false_alarm(data_dir, name):
    assert not set(found(data_dir / name)) & set(CHECKS)


@pytest.mark.data
def test_two_rackets_that_coco_has_as_one_are_far_pieces(data_dir):
    """And a book under a box that has no label, for the like of which outlines and run lengths are not looked at."""
    data = open_dataset(data_dir / "coco_instances")
    told = {}
    for record, sample in zip(data.records, data, strict=True):
        segments = sample.segments
        some = object_facts(segments, Segments(segments.ids, segments.classes).areas, data.classes.is_thing)
        if some.scattered.number:
            told[record.key] = (some.scattered.number, data.classes.names[some.scattered.kind])
    assert told == {"000000000531": (1, "tennis racket"), "000000000643": (1, "book")}


@pytest.mark.data
@pytest.mark.parametrize("name", ["dsb2018_nuclei", "pennfudan"])
def test_real_objects_made_one_are_told(data_dir, tmp_path, name):
    (tmp_path / "images").mkdir()
    for record in open_dataset(data_dir / name).records[::3]:
        (tmp_path / "images" / record.image.name).symlink_to(record.image)
        write_labels(tmp_path / "masks" / f"{record.image.stem}.png", (read_labels(record.label) > 0).astype(np.uint8))
    assert "merged_objects" in found(tmp_path, objects="cell")


@pytest.mark.data
@pytest.mark.parametrize("how", ["corners", "half"])
def test_boxes_of_real_objects_that_are_astray_are_told(data_dir, tmp_path, how):
    content = json.loads((data_dir / "coco_instances" / "instances.json").read_text())
    for one in content["annotations"]:
        x, y, w, h = one["bbox"]
        one["bbox"] = [x, y, x + w, y + h] if how == "corners" else [x / 2, y / 2, w / 2, h / 2]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(data_dir / "coco_instances" / "images")
    finding = found(tmp_path)["boxes_astray"]
    assert len(finding.keys) > 25
    assert ("corners" if how == "corners" else "0.5 times as wide and 0.5 times as high") in finding.remedy
