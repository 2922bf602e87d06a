"""The formats in the layouts of those who write them: small trees by hand, whose pixels one can count."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from _trees import picture
from intarsia.core.errors import DatasetNotFound, LabelError, OptionError, PairingError
from intarsia.data.images import write_image, write_labels
from intarsia.data.open import open_dataset

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]
"""Columns 1 to 3, rows 1 and 2, as COCO fills it."""


def coco(path, names, objects, *, images="images"):
    """A COCO JSON, and its images of 6 x 8."""
    for number, name in enumerate(names):
        write_image(path.parent / images / name if images else path.parent / name, picture(number, (6, 8)))
    content = {
        "images": [{"id": 10 + number, "file_name": name, "height": 6, "width": 8} for number, name in enumerate(names)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [{"id": number, **one} for number, one in enumerate(objects, start=1)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


CAT = {"image_id": 10, "category_id": 7, "segmentation": [SQUARE], "area": 6, "bbox": [1, 1, 3, 2], "iscrowd": 0}


@pytest.mark.parametrize(
    ("file", "images", "keys", "splits"),
    [
        ("annotations/instances_train2017.json", "../train2017", ["a"], ("train",)),  # COCO
        ("annotations/instances_val.json", "../images/val", ["a"], ("val",)),
        ("annotations/instances_default.json", "../images/default", ["a"], ()),  # CVAT
        ("result.json", "images", ["a"], ()),  # Label Studio
        ("valid/_annotations.coco.json", "", ["a"], ("val",)),  # Roboflow
        ("instances.json", "images", ["a"], ()),
    ],
)
def test_coco_as_its_writers_lay_it_out(file, images, keys, splits, tmp_path):
    coco(tmp_path / file, ["a.png"], [CAT], images=images)
    data = open_dataset(tmp_path)
    assert (data.format, data.keys, data.splits) == ("coco_instances", keys, splits)
    segments = data[0].segments
    assert data.classes.names == ("cat", "dog")
    assert segments.classes.tolist() == [0]
    assert segments.mask(0).sum() == 6
    assert segments.boxes.tolist() == [[1, 1, 4, 3]]


def test_coco_run_lengths_holes_parts_and_crowd(tmp_path):
    counts = [0, 6, 36, 6]  # the first and the last column
    crowd = {"image_id": 10, "category_id": 3, "segmentation": {"size": [6, 8], "counts": counts}, "iscrowd": 1, "area": 12}
    parts = CAT | {"segmentation": [SQUARE, [5, 4, 7, 4, 7, 6, 5, 6]]}
    coco(tmp_path / "instances.json", ["a.png", "b.png"], [crowd, parts])
    data = open_dataset(tmp_path)
    segments = data[0].segments
    assert segments.crowd.tolist() == [True, False]
    assert segments.mask(0)[:, [0, 7]].all()
    assert segments.mask(0).sum() == 12
    assert segments.mask(1).sum() == 10
    assert len(data[1].segments) == 0


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"image_id": 99}, "1 of others, such as image_id 99"),
        ({"category_id": 1}, "1 of others, such as category_id 1"),
        ({"image_id": "ten"}, "Expected `int`"),
    ],
)
def test_coco_objects_of_nothing_are_told_at_once(wrong, text, tmp_path):
    coco(tmp_path / "instances.json", ["a.png"], [CAT | wrong])
    with pytest.raises(LabelError, match=text):
        open_dataset(tmp_path)


def test_coco_broken_segmentations_are_told_when_read(tmp_path):
    coco(tmp_path / "instances.json", ["a.png"], [CAT | {"segmentation": {"size": [6, 9], "counts": [54]}}])
    with pytest.raises(LabelError, match=r"instances.json, bytes \d+ to \d+: expected polygons, or run lengths of \(6, 8\)"):
        open_dataset(tmp_path)[0]


def test_coco_missing_image(tmp_path):
    coco(tmp_path / "instances.json", ["a.png", "b.png"], [CAT])
    (tmp_path / "images" / "b.png").unlink()
    with pytest.raises(PairingError, match=r"images: expected an image b.png, received 1 other files. Did you mean 'a.png'"):
        open_dataset(tmp_path)


def test_coco_files_of_two_splits_share_their_categories(tmp_path):
    coco(tmp_path / "annotations/instances_train.json", ["a.png"], [CAT], images="../images/train")
    coco(tmp_path / "annotations/instances_val.json", ["a.png"], [CAT], images="../images/val")
    assert open_dataset(tmp_path).keys == ["train/a", "val/a"]
    file = tmp_path / "annotations/instances_val.json"
    file.write_text(file.read_text().replace('"dog"', '"cow"'))
    with pytest.raises(LabelError, match="expected the categories of"):
        open_dataset(tmp_path)


def yolo(root, line, *, names="names: [cat, dog]"):
    write_image(root / "images" / "train" / "a.png", picture(0, (10, 20)))
    (root / "labels" / "train").mkdir(parents=True)
    (root / "labels" / "train" / "a.txt").write_text(line)
    (root / "data.yaml").write_text(f"path: .\ntrain: images/train\n{names}\n")
    return root


def test_yolo_polygons_and_run_lengths(tmp_path):
    yolo(tmp_path, "1 0.1 0.1 0.4 0.1 0.4 0.5 0.1 0.5\n0 rle 10 20 0:00\n", names="names: {0: cat, 1: dog}")
    (tmp_path / "labels" / "train" / "a.txt").write_text("1 0.1 0.1 0.4 0.1 0.4 0.5 0.1 0.5\n")
    data = open_dataset(tmp_path)
    assert (data.format, data.splits, data.classes.things) == ("yolo", ("train",), ("cat", "dog"))
    segments = data[0].segments
    assert segments.classes.tolist() == [1]
    assert segments.boxes.tolist() == [[2, 1, 9, 6]]  # corners 2, 1 and 8, 5 with their edges
    assert segments.mask(0).sum() == 7 * 5


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("0 0.5 0.5 0.2 0.2", "received a box. Boxes are labels for detection"),
        ("0 0.1 0.1 0.2", "x y of three corners"),
        ("0 rle 20 10 0:00", r"received '0 rle 20 10 0:00': run lengths: expected"),
        ("cat 1", "a class"),
    ],
)
def test_yolo_lines_that_are_no_objects(line, text, tmp_path):
    with pytest.raises(LabelError, match=f"a.txt, line 1: .*{text}"):
        open_dataset(yolo(tmp_path, line))[0]


def test_yolo_paths_of_another_machine(tmp_path):
    yolo(tmp_path, "")
    (tmp_path / "data.yaml").write_text("path: /elsewhere/data\ntrain: /elsewhere/data/images/train\nnames: [cat]\n")
    data = open_dataset(tmp_path)
    assert len(data) == 1
    assert len(data[0].segments) == 0


def labelme(root, shapes):
    write_image(root / "a.png", picture(0, (12, 16)))
    content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": 12, "imageWidth": 16, "imageData": None, "version": "5.5.0"}
    (root / "a.json").write_text(json.dumps(content))
    return root


def test_labelme_shapes_groups_and_void(tmp_path):
    shapes = [
        {"label": "cat", "points": [[1, 1], [4, 1], [4, 4], [1, 4]], "shape_type": "polygon", "group_id": 5},
        {"label": "cat", "points": [[6, 1], [8, 3]], "shape_type": "rectangle", "group_id": 5},
        {"label": "dog", "points": [[10, 8], [12, 8]], "shape_type": "circle", "group_id": None},
        {"label": "__ignore__", "points": [[0, 10], [15, 11]], "shape_type": "rectangle", "group_id": None},
    ]
    data = open_dataset(labelme(tmp_path, shapes))
    segments = data[0].segments
    assert (data.format, data.classes.names) == ("labelme", ("cat", "dog"))
    assert len(segments) == 2
    assert segments.mask(0).sum() == 16 + 9
    assert segments.void[10:].all()
    assert not segments.void[:10].any()
    assert segments.mask(1)[8, 10]


def test_labelme_labels_and_kinds_that_are_not_known(tmp_path):
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ncat\n")
    square = [[1, 1], [4, 1], [4, 4]]
    with pytest.raises(LabelError, match=r"labels of labels.txt: cat, received 'cow'"):
        open_dataset(labelme(tmp_path, [{"label": "cow", "points": square}]))[0]
    with pytest.raises(LabelError, match="polygon of 2 points, labelled 'cat'"):
        open_dataset(labelme(tmp_path, [{"label": "cat", "points": square[:2]}]))[0]


def test_cityscapes_objects_crowds_and_labels(tmp_path):
    labels = np.full((8, 10), 7)  # road
    labels[:2] = 3  # out of roi
    labels[2:4] = 26  # cars
    labels[4:6] = 9  # parking, which the benchmark leaves out
    numbers = labels.copy()
    numbers[2:4, :3], numbers[2:4, 3:6] = 26000, 26001
    for folder, name, array in (
        ("leftImg8bit", "leftImg8bit", None),
        ("gtFine", "gtFine_labelIds", labels),
        ("gtFine", "gtFine_instanceIds", numbers),
    ):
        file = tmp_path / folder / "train" / "ulm" / f"ulm_000000_000019_{name}.png"
        write_image(file, picture(0, (8, 10))) if array is None else write_labels(file, array)
    data = open_dataset(tmp_path)
    segments = data[0].segments
    assert (data.format, data.keys, len(data.classes)) == ("cityscapes", ["ulm/ulm_000000_000019"], 19)
    assert [data.classes.names[index] for index in segments.classes] == ["road", "car", "car", "car"]
    assert segments.crowd.tolist() == [False, True, False, False]
    assert segments.areas.tolist() == [20, 8, 6, 6]
    assert segments.void.sum() == 40
    every = open_dataset(tmp_path, labels="all", objects=False)
    assert len(every.classes) == 28
    assert every[0].segments.areas.tolist() == [20, 20, 20]
    with pytest.raises(OptionError, match="Did you mean 'train'"):
        open_dataset(tmp_path, labels="trai")


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("Idx\tRatio\tTrain\tVal\tName\n1\t0.1\t2\t3\twall\n2 \t0.1\t2\t3\tcar, auto\n", ()),
        ("Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t2\t3\t1\twall\n2\t0.1\t2\t3\t0\tcar, auto\n", ("car",)),
    ],
)
def test_ade20k_in_both_its_releases(text, things, tmp_path):
    write_image(tmp_path / "images" / "validation" / "a.png", picture(0, (4, 6)))
    write_labels(tmp_path / "annotations" / "validation" / "a.png", np.array([[0, 1, 2, 2, 2, 2]] * 4))
    (tmp_path / "objectInfo150.txt").write_text(text)
    data = open_dataset(tmp_path)
    assert (data.format, data.splits, data.classes.names, data.classes.things) == ("ade20k", ("val",), ("wall", "car"), things)
    assert data[0].segments.semantic(2)[0].tolist() == [-1, 0, 1, 1, 1, 1]
    (tmp_path / "objectInfo150.txt").write_text("Idx\tName\n2\twall\n")
    with pytest.raises(LabelError, match="Idx from 1 on"):
        open_dataset(tmp_path)


def test_voc_an_object_of_no_thing(tmp_path):
    write_image(tmp_path / "JPEGImages" / "a.png", picture(0, (4, 6)))
    write_labels(tmp_path / "SegmentationClass" / "a.png", np.zeros((4, 6), np.uint8))
    write_labels(tmp_path / "SegmentationObject" / "a.png", np.ones((4, 6), np.uint8))
    with pytest.raises(LabelError, match="object 1 on background"):
        open_dataset(tmp_path)[0]


def test_masks_of_single_objects_may_overlap(tmp_path):
    write_image(tmp_path / "k1" / "images" / "k1.png", picture(0, (5, 5)))
    for number, box in enumerate([(slice(0, 3), slice(0, 3)), (slice(2, 5), slice(2, 5))]):
        mask = np.zeros((5, 5), np.uint8)
        mask[box] = 255
        write_labels(tmp_path / "k1" / "masks" / f"{number}.png", mask)
    segments = open_dataset(tmp_path, objects="nucleus")[0].segments
    assert segments.areas.tolist() == [9, 9]
    assert len(segments.ids) == 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_image_folder_of_hugging_face(suffix, tmp_path):
    write_image(tmp_path / "train" / "a.png", picture(0, (4, 6)))
    write_labels(tmp_path / "train" / "masks" / "a.png", np.ones((4, 6), np.uint8))
    row = {"file_name": "a.png", "mask_file_name": "masks/a.png"}
    text = "file_name,mask_file_name\na.png,masks/a.png\n" if suffix == "csv" else json.dumps(row) + "\n"
    (tmp_path / "train" / f"metadata.{suffix}").write_text(text)
    (tmp_path / "codes.txt").write_text("sky\nroad\n")
    data = open_dataset(tmp_path)
    assert (data.format, data.splits, data.keys) == ("image_folder", ("train",), ["a"])
    assert data[0].segments.areas.tolist() == [24]


def test_pages_of_a_stack_are_slices(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    volume = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    tifffile.imwrite(tmp_path / "train-volume.tif", volume, photometric="minisblack")
    tifffile.imwrite(tmp_path / "train-labels.tif", (volume % 2).astype(np.uint8) * 255, photometric="minisblack")
    data = open_dataset(tmp_path, slices=True)
    assert (data.format, data.keys, data.splits) == ("tiff_stack", ["train/0000", "train/0001", "train/0002"], ("train",))
    np.testing.assert_array_equal(data[1].image[..., 0], volume[1])
    assert data.classes.names == ("label 0", "label 255")
    tifffile.imwrite(tmp_path / "train-labels.tif", volume[:2], photometric="minisblack")
    with pytest.raises(PairingError, match="the 3 pages of train-volume.tif"):
        open_dataset(tmp_path)


def test_masks_of_objects_are_known_where_the_first_image_has_none(tmp_path):
    for number, key in enumerate("abc"):
        write_image(tmp_path / key / "images" / f"{key}.png", picture(number))
    for key in "bc":
        write_labels(tmp_path / key / "masks" / "1.png", np.eye(12, 16, dtype=np.uint8) * 255)
    data = open_dataset(tmp_path)
    assert (data.format, data.why, data.keys) == ("object_masks", "b/images/ and masks/", ["a", "b", "c"])
    assert data.segments(0) is None
    with pytest.raises(PairingError, match=r"a/images/a.png: expected a mask, received none"):
        data.check()


def test_images_alone_are_told_in_a_few_lines(tmp_path):
    for number in range(5):
        write_image(tmp_path / f"i{number}.png", picture(number))
    with pytest.raises(DatasetNotFound) as caught:
        open_dataset(tmp_path)
    text = str(caught.value)
    assert "expected images with labels, such as images/ + masks/" in text
    assert "received 5 pictures, no known labels (i0.png, i1.png, i2.png, i3.png and 1 more)" in text
    assert "docs/data.md shows the 16 layouts" in text
    assert len(text) - len(str(tmp_path)) < 450


def test_a_palette_is_shown_in_colours_and_read_as_ids(tmp_path):
    write_labels(tmp_path / "a.png", np.array([[0, 1], [2, 255]], np.uint8), ((0, 0, 0), (128, 0, 0), (0, 128, 0)))
    seen = cv2.imread(str(tmp_path / "a.png"))
    assert seen[0, 1].tolist() == [0, 0, 128]
    shutil.rmtree(tmp_path)
