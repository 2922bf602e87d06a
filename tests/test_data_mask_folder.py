"""mask_folder: layouts, rules, classes, splits."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from _trees import ROADS, mask, mask_tree, picture
from intarsia.core import ClassSet, Sample, Segments
from intarsia.core.errors import DatasetNotFound, LabelError, OptionError, PairingError
from intarsia.data.dataset import Dataset
from intarsia.data.formats.mask_folder import MaskFolder
from intarsia.data.images import write_image, write_labels
from intarsia.data.open import open_dataset


@pytest.mark.parametrize(
    "layout", ["{split}/images {split}/labels", "images/{split} masks/{split}", "imgs/{split} annotations/{split}"]
)
@pytest.mark.parametrize("valid", ["val", "valid", "validation"])
def test_split_folders(layout, valid, tmp_path):
    images, masks = layout.split()
    for seed, split in enumerate(["train", valid, "test"]):
        write_image(tmp_path / images.format(split=split) / "deep" / "a.v1.png", picture(seed))
        write_labels(tmp_path / masks.format(split=split) / "deep" / "a.v1.png", mask(seed))
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    data = open_dataset(tmp_path)
    assert data.splits == ("train", "val", "test")
    assert data.keys == ["train/deep/a.v1", "val/deep/a.v1", "test/deep/a.v1"]  # one name in three splits
    for seed, split in enumerate(data.splits):
        np.testing.assert_array_equal(data.split(split)[0].segments.semantic(3), mask(seed))
        np.testing.assert_array_equal(data.split(split)[0].image, picture(seed))


def test_keys_are_stems_where_the_splits_share_none(tmp_path):
    for split, name in (("train", "a"), ("val", "b")):
        write_image(tmp_path / split / "images" / f"{name}.jpg", picture(0))
        write_labels(tmp_path / split / "masks" / f"{name}.png", mask(0))
    assert open_dataset(tmp_path, classes=["x", "y", "z"]).keys == ["a", "b"]


def test_a_rule_and_folders_by_name(tmp_path):
    write_image(tmp_path / "JPEGImages" / "a.png", picture(0))
    write_labels(tmp_path / "PedMasks" / "a_mask.png", mask(0))
    data = open_dataset(
        tmp_path, format="mask_folder", images="JPEGImages", masks="PedMasks", rule="{stem}_mask.png", classes=["a", "b", "c"]
    )
    np.testing.assert_array_equal(data[0].segments.semantic(3), mask(0))


@pytest.mark.parametrize("masks", ["masks", "labels"])
@pytest.mark.parametrize("options", [{}, {"classes": "codes.txt"}, {"classes": "codes.txt", "val": 0.5}])
def test_the_documented_rule_needs_no_format(masks, options, tmp_path):
    for name in "ab":
        write_image(tmp_path / "images" / f"{name}.jpg", picture(0))
        write_labels(tmp_path / masks / f"{name}_P.png", mask(0))
    (tmp_path / "codes.txt").write_text("sky\nroad\ncar\n")
    data = open_dataset(tmp_path, rule="{stem}_P.png", **options)
    assert data.format == "mask_folder"
    np.testing.assert_array_equal(data[1].segments.semantic(3), mask(0))


def test_folders_given_by_name_need_no_format(tmp_path):
    write_image(tmp_path / "raw" / "a.png", picture(0))
    write_labels(tmp_path / "gt" / "a.png", mask(0))
    data = open_dataset(tmp_path, images="raw", masks="gt", classes=["a", "b", "c"])
    np.testing.assert_array_equal(data[0].segments.semantic(3), mask(0))
    with pytest.raises(DatasetNotFound, match=r"expected row/ or the same within .*Name the folder: images='...'"):
        open_dataset(tmp_path, images="row", masks="gt", classes=["a", "b", "c"])


def test_masks_that_no_image_is_named_like_ask_for_the_rule(tmp_path):
    write_image(tmp_path / "images" / "a.png", picture(0))
    write_labels(tmp_path / "masks" / "a_truth.png", mask(0))
    with pytest.raises(PairingError, match=r"images/a.png: expected a mask .* or name the rule. Known: a_truth"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("names", [("im[1]", "im[2]"), ("x", "x_P"), ("a*", "a?")])
@pytest.mark.parametrize("masks", ["masks", "labels"])
def test_names_that_mean_something_elsewhere(names, masks, tmp_path):
    data = open_dataset(mask_tree(tmp_path, names, masks=masks))
    assert data.format == "mask_folder"
    assert sorted(data.keys) == sorted(names)
    np.testing.assert_array_equal(data[data.keys.index(names[0])].segments.semantic(3), mask(0))


@pytest.mark.parametrize(("where", "rule"), [(".", "{stem}_m"), (".", "{stem}_m.png"), ("gt", "{stem}")])
def test_masks_beside_or_below_the_images(where, rule, tmp_path):
    for name in "ab":
        write_image(tmp_path / f"{name}.png", picture(0))
        write_labels(tmp_path / where / f"{rule.removesuffix('.png').format(stem=name)}.png", mask(0))
    data = open_dataset(tmp_path, format="mask_folder", images=".", masks=where, rule=rule, classes=["a", "b", "c"])
    assert data.keys == ["a", "b"]
    np.testing.assert_array_equal(data[1].segments.semantic(3), mask(0))


# -- splits ------------------------------------------------------------------------------------------------------------------------


def test_valid_txt_names_the_validation_images_and_the_rest_is_train(tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "valid.txt").write_text("b.png\n\n")
    data = open_dataset(tmp_path)
    assert {split: data.split(split).keys for split in data.splits} == {"train": ["a", "c"], "val": ["b"]}


def test_with_a_train_list_the_unlisted_are_left_out(tmp_path):
    mask_tree(tmp_path, ("a", "b", "c", "d"))
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "val.txt").write_text("some/path/b.jpg some/path/b_mask.png\n")
    (tmp_path / "test.txt").write_text("c\n")
    data = open_dataset(tmp_path)
    assert {split: data.split(split).keys for split in data.splits} == {"train": ["a"], "val": ["b"], "test": ["c"]}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"val": "a\nq7\n"}, "val.txt: expected names of images that are there, received q7"),
        ({"val": "\n"}, "val.txt: expected a name of an image on each line, received an empty list"),
        ({"train": "a\nb\n", "val": "b\n"}, "val.txt: expected each image in one list, received b also in train"),
    ],
)
def test_lists_that_lie(lists, expected, tmp_path):
    mask_tree(tmp_path)
    for name, text in lists.items():
        (tmp_path / f"{name}.txt").write_text(text)
    with pytest.raises(PairingError) as caught:
        open_dataset(tmp_path)
    assert expected in str(caught.value)


def test_seeded_shares(tmp_path):
    names = tuple(f"n{number:02}" for number in range(20))
    mask_tree(tmp_path, names)
    data = open_dataset(tmp_path, val=0.2, test=0.1)
    parts = {split: data.split(split).keys for split in data.splits}
    assert {split: len(keys) for split, keys in parts.items()} == {"train": 14, "val": 4, "test": 2}
    assert sorted(key for keys in parts.values() for key in keys) == sorted(names)
    assert parts["test"] == ["n08", "n19"]  # computed once: the same on every machine
    assert open_dataset(tmp_path, val=0.2, test=0.1).split("val").keys == parts["val"]
    assert open_dataset(tmp_path, val=0.2, test=0.1, seed=1).split("val").keys != parts["val"]
    assert open_dataset(tmp_path).splits == ()
    with pytest.raises(OptionError, match=r"open_dataset\(..., val=0.2\)"):
        open_dataset(tmp_path).split("val")


def test_a_share_of_a_split_that_is_there_is_refused(tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "valid.txt").write_text("b\n")
    with pytest.raises(OptionError, match="splits not yet there"):
        open_dataset(tmp_path, val=0.5)
    assert open_dataset(tmp_path, test=0.5).splits == ("train", "val", "test")


# -- classes and ids ---------------------------------------------------------------------------------------------------------------


def test_void_is_by_name_else_255_else_as_told(tmp_path):
    mask_tree(tmp_path)
    ids = np.array([[0, 1, 2, 255]], np.uint8)
    write_image(tmp_path / "images" / "d.png", picture(0, size=(1, 4)))
    write_labels(tmp_path / "masks" / "d.png", ids)
    assert open_dataset(tmp_path)[3].segments.semantic(3).tolist() == [[0, 1, 2, -1]]
    assert open_dataset(tmp_path, classes=["sky", "road"], void=2)[0].segments.void.sum() == (mask(0) == 2).sum()
    (tmp_path / "codes.txt").write_text("sky\nUnlabelled\ncar\n")
    data = open_dataset(tmp_path)
    assert data.classes.names == ("sky", "car")
    assert data.classes.void == ("Unlabelled",)
    np.testing.assert_array_equal(data[0].segments.semantic(2), np.array([0, -1, 1])[mask(0)])
    with pytest.raises(LabelError, match="received 255"):
        data.check()  # where a class is called void, 255 is not void too
    assert open_dataset(tmp_path, void=255)[3].segments.semantic(2).tolist() == [[0, -1, 1, -1]]


def test_classes_as_argument(tmp_path):
    mask_tree(tmp_path)
    assert open_dataset(tmp_path, classes=ROADS).classes == ROADS
    (tmp_path / "mine.json").write_text(json.dumps([{"name": "bg", "id": 0}, {"name": "fg", "id": 2}, {"name": "Void", "id": 1}]))
    data = open_dataset(tmp_path, classes="mine.json")
    np.testing.assert_array_equal(data[0].segments.semantic(2), np.array([0, -1, 1])[mask(0)])


def test_masks_painted_in_colours(tmp_path):
    colours = np.array([(128, 64, 0), (1, 2, 3), (0, 0, 0)], np.uint8)
    mask_tree(tmp_path)
    for seed, name in enumerate("abc"):
        write_image(tmp_path / "masks" / f"{name}.png", colours[mask(seed)])
    (tmp_path / "codes.txt").write_text("sky 128 64 0\nroad 1 2 3\nvoid 0 0 0\n")
    (tmp_path / "colors.txt").write_text("sky 128 64 0\nroad 1 2 3\nvoid 0 0 0\n")
    with pytest.raises(LabelError, match="a.png: expected one class id per pixel"):
        open_dataset(tmp_path).check()
    data = open_dataset(tmp_path, by_colour=True)
    np.testing.assert_array_equal(data[0].segments.semantic(2), np.array([0, 1, -1])[mask(0)])
    write_image(tmp_path / "masks" / "b.png", np.full((12, 16, 3), 9, np.uint8))
    with pytest.raises(LabelError, match=r"b.png: expected the 3 colours of its class file, received \(9, 9, 9\)"):
        data.check()


def test_masks_of_0_and_255_are_not_trained_as_background_and_void(tmp_path):
    mask_tree(tmp_path, classes="background\nnucleus\n")
    for seed, name in enumerate("abc"):
        write_labels(tmp_path / "masks" / f"{name}.png", (mask(seed) > 0).astype(np.uint8) * 255)
    with pytest.raises(LabelError) as caught:
        open_dataset(tmp_path).check()
    assert "expected pixels of nucleus too, received only background and void" in str(caught.value)
    (tmp_path / "classes.json").write_text(json.dumps([{"name": "background", "id": 0}, {"name": "nucleus", "id": 255}]))
    data = open_dataset(tmp_path)
    data.check()
    np.testing.assert_array_equal(data[0].segments.semantic(2), mask(0) > 0)


def test_numbered_objects(tmp_path):
    numbers = np.array([[0, 7, 7, 300], [0, 0, 7, 65535]], np.uint16)
    write_image(tmp_path / "images" / "a.png", picture(0, size=(2, 4)))
    write_labels(tmp_path / "labels" / "a.png", numbers)
    data = open_dataset(tmp_path, objects="nucleus")
    segments = data[0].segments
    assert segments.ids.tolist() == [[[0, 1, 1, 2], [0, 0, 1, -1]]]
    assert segments.classes.tolist() == [0, 0]
    assert data.classes == ClassSet(("nucleus",), things=("nucleus",), nothing=True)


def test_a_volume_of_npy(tmp_path):
    labels = np.random.default_rng(0).integers(-1, 2, (3, 4, 5)).astype(np.int16)
    volume = Sample(picture(0, (3, 4, 5), 2, "int16"), Segments.from_semantic(labels, 2), key="scan")
    MaskFolder.write(Dataset.from_samples([volume], ClassSet(("a", "b"))), tmp_path / "out")
    back = open_dataset(tmp_path / "out")[0]
    np.testing.assert_array_equal(back.image, volume.image)
    assert back.segments == volume.segments


def test_an_empty_mask_folder_is_named_and_not_a_class_file_asked_for(tmp_path):
    write_image(tmp_path / "images" / "a.png", picture(0))
    (tmp_path / "masks").mkdir()
    with pytest.raises(DatasetNotFound, match="masks: expected label files, received none. Kinds read: .png"):
        open_dataset(tmp_path)
    (tmp_path / "codes.txt").write_text("sky\nroad\n")
    assert open_dataset(tmp_path)[0].segments is None


def test_options_that_make_no_sense(tmp_path):
    mask_tree(tmp_path)
    with pytest.raises(OptionError, match="Did you mean 'masks'"):
        open_dataset(tmp_path, mask="labels")
    with pytest.raises(OptionError, match="text with {stem}"):
        open_dataset(tmp_path, rule="mask.png")
    with pytest.raises(DatasetNotFound, match="expected a mask folder gt/, received none"):
        open_dataset(tmp_path, masks="gt")
    with pytest.raises(OptionError, match="Did you mean 'coco_|Known: ade20k, camvid"):
        open_dataset(tmp_path, format="coco")


def test_what_the_written_folder_says_of_classes_survives(tmp_path):
    classes = ClassSet(("sky", "car", "wheel"), things=("car",), void=("mud",), groups=(("sky", "car"), ("wheel",)), nothing=True)
    only = Sample(picture(0), Segments.from_semantic(mask(0).astype(np.int16), 3), key="a")
    data = Dataset.from_samples([only], replace(classes), splits={"a": "train"})
    MaskFolder.write(data, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes == classes


@pytest.mark.data
def test_real_nuclei_and_tiles(data_dir):
    nuclei = open_dataset(data_dir / "dsb2018_nuclei", objects="nucleus")
    nuclei.check()
    assert {split: len(nuclei.split(split)) for split in nuclei.splits} == {"train": 33, "val": 11}
    assert sum(len(nuclei.segments(index)) for index in range(44)) == 1487
    tiles = open_dataset(data_dir / "magnetic_tile")
    tiles.check()
    assert {split: len(tiles.split(split)) for split in tiles.splits} == {"train": 62, "val": 20}
    assert tiles.classes.names[1:] == ("blowhole", "break", "crack", "fray", "uneven")
    counts = [sum(c in tiles.segments(index).classes for index in range(82)) for c in range(1, 6)]
    assert counts == [20, 16, 16, 10, 12]
