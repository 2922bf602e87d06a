"""The doctor on what is sound but looks like a fault, on faults that hid others, and on what it keeps of ten thousand pairs."""

from __future__ import annotations

import gc
import shutil
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from intarsia.core.errors import DataError
from intarsia.data.doctor._facts import Facts, ImageFacts, read_facts
from intarsia.data.doctor._survey import Survey
from intarsia.data.doctor.duplicates import duplicates
from intarsia.data.examine import examine, mended
from intarsia.data.images import orientation, read_image, read_labels, write_image, write_labels
from intarsia.data.label_files import ObjectLabels
from intarsia.data.records import FileReader, Record
from test_doctor import SIZE, absent_classes, change, clean, images, masks, mixed_masks, untrained_classes


def checks(root, **options):
    return [finding.check for finding in examine(root, **options).findings]


# -- orientation ----------------------------------------------------------------------------------------------------------------


def as_tiff(path: Path, turn: int) -> Path:
    """The image or label file as a TIFF with an orientation."""
    Image.open(path).save(path.with_suffix(".tif"), tiffinfo={274: turn})
    path.unlink()
    return path.with_suffix(".tif")


@pytest.mark.parametrize("turn", range(10))
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_orientation_is_what_the_decoder_does(suffix, turn, tmp_path):
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(stored).save(tmp_path / "a.tif", tiffinfo={274: turn})
    path = shutil.move(tmp_path / "a.tif", tmp_path / f"a{suffix}")
    told, read = orientation(path), read_image(path)[..., 0]
    assert told == (turn if 2 <= turn <= 8 else 1)
    assert (told > 4) == (read.shape == (6, 4))
    assert (told == 1) == np.array_equal(read, stored)


def test_a_jpeg_named_png_is_turned_and_a_png_with_exif_is_not(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    picture = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    picture.save(tmp_path / "a.jpg", exif=exif)
    picture.save(tmp_path / "b.png", exif=exif)
    path = shutil.move(tmp_path / "a.jpg", tmp_path / "a.png")
    assert (orientation(path), read_image(path).shape) == (6, (6, 4, 3))
    assert (orientation(tmp_path / "b.png"), read_image(tmp_path / "b.png").shape) == (1, (4, 6, 3))


@pytest.mark.parametrize("turn", [5, 6, 7, 8])
def test_a_tiff_turned_without_its_mask_is_mended(turn, tmp_path):
    root = clean(tmp_path / "data")
    stored = read_image(images(root)[0])
    as_tiff(images(root)[0], turn)
    assert checks(root) == ["exif_rotation"]
    mended(examine(root), tmp_path / "out")
    assert checks(tmp_path / "out") == []
    np.testing.assert_array_equal(read_image(images(tmp_path / "out")[0]), stored)


def test_a_tiff_that_is_turned_as_its_mask_is_sound(tmp_path):
    root = clean(tmp_path)
    for image, mask, turn in zip(images(root), masks(root), (3, 6), strict=False):
        as_tiff(image, turn)
        as_tiff(mask, turn)
    assert checks(root) == []
    as_tiff(images(root)[3], 3)
    assert checks(root) == ["doubtful_rotation"]


# -- labels ---------------------------------------------------------------------------------------------------------------------


def test_a_sound_file_without_ids_is_no_corrupt_one(tmp_path):
    root = clean(tmp_path / "data")
    path = masks(root)[0]
    write_image(path.with_suffix(".tif"), read_labels(path).astype(np.float32)[..., None])
    path.unlink()
    report = examine(root)
    (finding,) = report.findings
    assert finding.check == "unreadable_labels"
    assert "expected one class id per pixel (single channel), received float32" in finding.message
    assert mended(report, tmp_path / "out").left_out == {"unreadable_labels": finding.files}


def test_of_a_corrupt_file_the_error_is_told(tmp_path):
    root = clean(tmp_path)
    path = masks(root)[0]
    path.write_bytes(path.read_bytes()[:60])
    (finding,) = examine(root).findings
    assert finding.check == "unreadable_files"
    with pytest.raises(DataError) as refused:
        read_labels(path)
    assert str(refused.value) in finding.message


@pytest.mark.parametrize("names", ["void\ncrop\nweed\n", '{"names": ["ground", "crop", "weed"], "nothing": true}'])
def test_the_first_class_is_no_background_where_void_or_nothing_is(names, tmp_path):
    root = clean(tmp_path)
    (root / "codes.txt").unlink()
    (root / ("classes.json" if names[0] == "{" else "codes.txt")).write_text(names)
    change(root, lambda labels: np.minimum(labels, names[0] == "v"), 2)
    assert "empty_masks" not in checks(root)
    if names[0] == "v":
        change(root, lambda labels: labels * 0, 2)
        assert "empty_masks" in checks(root)


def test_void_is_nothing_that_a_mask_shows(tmp_path):
    root = clean(tmp_path)
    (root / "codes.txt").write_text("ground\ncrop\nweed\nvoid\n")
    change(root, lambda labels: np.where(np.arange(80) > 60, 3, labels * 0), 2)
    assert checks(root) == ["empty_masks"]


def test_255_that_is_said_to_be_void_is_no_object(tmp_path):
    root = clean(tmp_path)
    mixed_masks(root)
    assert checks(root) == ["mixed_masks"]
    assert checks(root, void=255) == ["empty_masks"]
    (root / "codes.txt").write_text("0 ground\n1 crop\n2 weed\n255 void\n")
    assert checks(root) == ["empty_masks"]


@pytest.mark.parametrize("of", [images, masks], ids=["image", "mask"])
@pytest.mark.parametrize("dirty", [absent_classes, untrained_classes], ids=lambda dirty: dirty.__name__)
def test_what_cannot_be_read_may_show_a_class(dirty, of, tmp_path):
    root = clean(tmp_path)
    dirty(root)
    assert checks(root) == [dirty.__name__]
    path = of(root)[0]
    path.write_bytes(path.read_bytes()[:60])
    assert checks(root) == ["unreadable_files"]


def test_blank_images_are_not_alike(tmp_path):
    root = clean(tmp_path)
    for number, path in enumerate(images(root)[:4] + images(root)[-2:]):
        write_image(path, np.full((*SIZE, 3), 20 * number, np.uint8))
    assert checks(root) == []


# -- much data ------------------------------------------------------------------------------------------------------------------


def cells(path: Path) -> None:
    numbers = np.kron(np.arange(1, 677).reshape(26, 26), np.ones((8, 8), np.int64))
    numbers[::8] = 0
    write_labels(path, numbers)


def smooth_colours(path: Path) -> None:
    corners = np.random.default_rng(0).integers(0, 2, (8, 8, 3)).astype(np.uint8) * 255
    write_image(path, cv2.resize(corners, (208, 208), interpolation=cv2.INTER_CUBIC) // 24 * 24)


def smooth_ids(path: Path) -> None:
    corners = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    write_labels(path, cv2.resize(corners, (208, 208), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("label", [cells, smooth_colours, smooth_ids], ids=lambda label: label.__name__)
def test_little_is_kept_of_each_pair(label, tmp_path):
    write_image(tmp_path / "image.png", np.zeros((208, 208, 3), np.uint8))
    label(tmp_path / "label.png")
    record = Record("a", tmp_path / "image.png", tmp_path / "label.png")
    reader, things = FileReader(ObjectLabels()), np.array([True])
    read_facts(record, reader=reader, pictures=True, things=things)
    tracemalloc.start()
    facts = [read_facts(record, reader=reader, pictures=True, things=things) for _ in range(4)]
    gc.collect()  # the interpreter's free lists are nothing that facts keep
    kept = tracemalloc.get_traced_memory()[0] / len(facts)
    tracemalloc.stop()
    assert kept < 16384


def test_many_equal_images_take_no_longer_than_so_many():
    facts = tuple(Facts(Record(f"{number:05d}"), ImageFacts(digest=b"same"), None) for number in range(6000))
    begun = time.process_time()
    some, told = duplicates.cases(Survey(Path(), "mask_folder", "", facts))
    assert time.process_time() - begun < 1
    assert some == list(facts[1:])
    assert set(map(id, told["others"])) == {id(facts[0])}
