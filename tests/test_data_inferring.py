"""Folders without a class file: what the values of the masks tell, and that it is told."""

from __future__ import annotations

import numpy as np
import pytest

from _trees import mask_tree, picture
from intarsia.data.images import write_image, write_labels
from intarsia.data.open import open_dataset


def tree(root, masks):
    for number, labels in enumerate(masks):
        write_image(root / "images" / f"i{number}.png", picture(number, labels.shape))
        write_labels(root / "masks" / f"i{number}.png", labels)
    return open_dataset(root)


def numbered(count, size=(40, 60)):
    labels = np.zeros(size, np.int64)
    for number in range(count):
        row, column = divmod(number, 6)
        labels[8 * row + 1 : 8 * row + 6, 10 * column + 1 : 10 * column + 8] = number + 1
    return labels


NAMING = "Write codes.txt with id and class name on each line to name them: '0 background', '255 foreground'."


@pytest.mark.parametrize("high", [1, 255])
def test_two_values_are_background_and_foreground(high, tmp_path):
    data = tree(tmp_path, [np.where(np.arange(60) > 20 + number, high, 0) * np.ones((40, 1), np.int64) for number in range(3)])
    assert data.classes.names == ("background", "foreground")
    assert data[0].segments.areas.tolist() == [21 * 40, 39 * 40]
    assert data.notes == (
        f"No class file: 0 in the masks is taken for background, {high} for foreground. "
        + ("Write codes.txt with one class name per line to name them.", NAMING)[high == 255],
    )


def test_numbers_that_begin_anew_in_each_file_are_objects(tmp_path):
    data = tree(tmp_path, [numbered(count) for count in (3, 7, 5)])
    assert data.classes.things == ("object",)
    assert [len(sample.segments) for sample in data] == [3, 7, 5]
    assert "number objects" in data.notes[0]


def test_classes_that_come_in_pieces_are_no_objects(tmp_path):
    rng = np.random.default_rng(0)
    data = tree(tmp_path, [rng.integers(0, top, (40, 60)) for top in (3, 4, 5)])
    assert data.classes.names == ("class 0", "class 1", "class 2", "class 3", "class 4")
    assert "are taken for classes" in data.notes[0]


def test_255_is_void_beside_other_classes(tmp_path):
    labels = numbered(4) % 3
    labels[0] = 255
    data = tree(tmp_path, [labels, labels])
    assert data.classes.names == ("class 0", "class 1", "class 2")
    assert data[0].segments.void.sum() == 60


def test_a_class_file_goes_before_the_values(tmp_path):
    data = open_dataset(mask_tree(tmp_path))
    assert data.classes.names == ("sky", "road", "car")
    assert data.notes == ()


def test_an_ending_of_all_masks_is_found(tmp_path):
    for number in range(2):
        write_image(tmp_path / "images" / f"i{number}.png", picture(number))
        write_labels(tmp_path / "masks" / f"i{number}_mask.png", np.ones((12, 16), np.uint8))
    assert [record.label.name for record in open_dataset(tmp_path).records] == ["i0_mask.png", "i1_mask.png"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "names", "objects"),
    [("dsb2018_nuclei", ("object",), 1487), ("pennfudan", ("object",), 211), ("em_membrane", ("background", "foreground"), 28)],
)
def test_real_folders_need_no_setting(data_dir, name, names, objects):
    data = open_dataset(data_dir / name)
    assert data.classes.names == names
    assert sum(len(data.segments(index)) for index in range(len(data))) == objects
